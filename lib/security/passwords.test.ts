import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, test } from "@jest/globals";
import bcryptjs from "bcryptjs";
import { runInCall } from "../context/call-context.ts";
import { type PasswordOptions, type Passwords, passwords } from "./passwords.ts";

let pool: Passwords | undefined;
const open = (options: Partial<PasswordOptions> = {}) => {
	pool = passwords({ cost: 4, ...options });
	return pool;
};
afterEach(() => pool?.close());

test("passwords uses the native package if it is installed", () => {
	expect(open().implementation).toBe("bcrypt");
});

test("both implementations accept each other's hashes, with any characters", async () => {
	const native = open();
	const fallback = passwords({ cost: 4, javascript: true });
	expect(fallback.implementation).toBe("bcryptjs");
	for (const password of [
		"correct horse",
		"é🐎 cheval",
		"half \ud800 pair",
		"zero\0byte",
		"é".repeat(36),
		"",
	]) {
		expect(await fallback.matches(password, await native.hash(password))).toBe(true);
		expect(await native.matches(password, await fallback.hash(password))).toBe(true);
	}
	await fallback.close();
});

describe.each([{ javascript: false }, { javascript: true }])("passwords (%j)", (implementation) => {
	test("match hashes with all prefixes of other systems", async () => {
		const { matches } = open(implementation);
		for (const prefix of ["$2a$", "$2b$", "$2y$"]) {
			const hashed = bcryptjs.hashSync("correct horse", 4).replace(/^\$2b\$/, prefix);
			expect(await matches("correct horse", hashed)).toBe(true);
			expect(await matches("correct pony", hashed)).toBe(false);
		}
	});

	test("match only the hash of the same password", async () => {
		const { hash, matches } = open(implementation);
		const hashed = await hash("correct horse 🐎");
		expect(hashed).toMatch(/^\$2b\$04\$.{53}$/);
		expect(hashed).not.toBe(await hash("correct horse 🐎"));
		expect(await matches("correct horse 🐎", hashed)).toBe(true);
		expect(await matches("correct horse 🐴", hashed)).toBe(false);
	});

	test("match nothing without a hash", async () => {
		const { matches } = open(implementation);
		expect(await matches("", undefined)).toBe(false);
		expect(await matches("anything", undefined)).toBe(false);
	});

	test("match a hash of another cost and report it as outdated", async () => {
		const hashed = await open({ ...implementation, cost: 5 }).hash("correct horse");
		await pool!.close();
		const { matches, isOutdated, hash } = open({ ...implementation, cost: 4 });
		expect(isOutdated(hashed)).toBe(true);
		expect(isOutdated(await hash("correct horse"))).toBe(false);
		expect(await matches("correct horse", hashed)).toBe(true);
	});

	test("are rejected at once when the queue is full; the others are still hashed", async () => {
		const { hash } = open({ ...implementation, queue: 5 });
		const outcomes = await Promise.allSettled(
			Array.from({ length: 50 }, () => hash("correct horse")),
		);
		const refused = outcomes.flatMap((outcome) =>
			outcome.status === "rejected" ? [outcome.reason] : [],
		);
		expect(refused.length).toBeGreaterThan(0);
		expect(refused.length).toBeLessThanOrEqual(45);
		for (const error of refused)
			expect(error).toMatchObject({ type: "SERVICE_UNAVAILABLE", code: 503 });
	});

	test("are not hashed after the deadline of their call", async () => {
		const { hash } = open(implementation);
		const first = Array.from({ length: 4 }, () => hash("correct horse"));
		const call = { requestID: null, meta: {}, deadline: performance.now() + 1 };
		const late = Array.from({ length: 20 }, () => runInCall(call, () => hash("correct horse")));
		const last = hash("correct horse");
		// Blocks the event loop until the deadline has passed.
		while (performance.now() < call.deadline);
		const outcomes = await Promise.allSettled(late);
		expect(outcomes.filter(({ status }) => status === "fulfilled")).toEqual([]);
		expect(await Promise.all([...first, last])).toHaveLength(5);
	});

	test("that are waiting are still hashed when the pool closes", async () => {
		const { hash, close } = open(implementation);
		const hashes = Promise.all(Array.from({ length: 6 }, () => hash("correct horse")));
		await close();
		expect(await hashes).toHaveLength(6);
	});
});

test("bcryptjs starts worker threads with the first password, and bcrypt none", async () => {
	let started = 0;
	const count = () => {
		started++;
	};
	subscribe("worker_threads", count);
	await open().hash("correct horse");
	expect(started).toBe(0);
	const fallback = passwords({ cost: 4, javascript: true });
	expect(started).toBe(0);
	await fallback.hash("correct horse");
	expect(started).toBeGreaterThan(0);
	await fallback.close();
	unsubscribe("worker_threads", count);
});
