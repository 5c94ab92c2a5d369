import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, expect, test } from "@jest/globals";
import { type Passwords, passwords } from "./passwords.ts";

let pool: Passwords | undefined;
const open = (options: { cost?: number; queue?: number } = {}) => {
	pool = passwords({ cost: 4, ...options });
	return pool;
};
afterEach(() => pool?.close());

test("only the password that was hashed matches", async () => {
	const { hash, matches } = open();
	const hashed = await hash("correct horse 🐎");
	expect(hashed).toMatch(/^\$2b\$04\$.{53}$/);
	expect(hashed).not.toBe(await hash("correct horse 🐎"));
	expect(await matches("correct horse 🐎", hashed)).toBe(true);
	expect(await matches("correct horse 🐴", hashed)).toBe(false);
});

test("without a hash nothing matches", async () => {
	const { matches } = open();
	expect(await matches("", undefined)).toBe(false);
	expect(await matches("anything", undefined)).toBe(false);
});

test("a hash of another cost is outdated and still matches", async () => {
	const hashed = await open({ cost: 5 }).hash("correct horse");
	await pool!.close();
	const { matches, isOutdated, hash } = open({ cost: 4 });
	expect(isOutdated(hashed)).toBe(true);
	expect(isOutdated(await hash("correct horse"))).toBe(false);
	expect(await matches("correct horse", hashed)).toBe(true);
});

test("hashing starts worker threads, and not before there is something to hash", async () => {
	let started = 0;
	const count = () => {
		started++;
	};
	subscribe("worker_threads", count);
	const { hash } = open();
	expect(started).toBe(0);
	await hash("correct horse");
	expect(started).toBeGreaterThan(0);
	unsubscribe("worker_threads", count);
});

const onLinux = process.platform === "linux" ? test : test.skip;
onLinux("whoever hashes lets others in again and again", async () => {
	/** How often the threads of this process have stopped to wait. */
	const stops = () =>
		readdirSync("/proc/self/task")
			.map((id) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/self/task/${id}/status`, "utf8"))![1]))
			.reduce((sum, n) => sum + n, 0);
	const { hash, matches } = open({ cost: 10 });
	const hashed = await hash("correct horse");
	const before = stops();
	expect(await matches("correct horse", hashed)).toBe(true);
	expect(stops() - before).toBeGreaterThan(60);
});

test("what cannot be done soon is refused at once, and the rest is still done", async () => {
	const { hash } = open({ queue: 5 });
	const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => hash("correct horse")));
	const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
	expect(refused.length).toBeGreaterThan(0);
	expect(refused.length).toBeLessThanOrEqual(45);
	for (const error of refused) expect(error).toMatchObject({ type: "SERVICE_UNAVAILABLE", code: 503 });
});
