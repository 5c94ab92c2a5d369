import { expect, test } from "@jest/globals";
import { keyedQueue } from "./keyed-queue.ts";

const options = {
	limit: 2,
	full: () => new Error("full"),
	expired: () => new Error("expired"),
};
/** A task that ends when `end` is called. */
function task<T>(value: T) {
	let end!: () => void;
	const ended = new Promise<void>((resolve) => {
		end = resolve;
	});
	return { run: () => ended.then(() => value), end };
}

test("tasks of a key run one after the other, in order of arrival", async () => {
	const run = keyedQueue(options);
	const started: number[] = [];
	const first = task("first");
	const results = [0, 1, 2].map((n) =>
		run("key", () => {
			started.push(n);
			return n === 0 ? first.run() : Promise.resolve(`task ${n}`);
		}),
	);
	expect(started).toEqual([0]);
	first.end();
	expect(await Promise.all(results)).toEqual(["first", "task 1", "task 2"]);
	expect(started).toEqual([0, 1, 2]);
});

test("a key with waiting tasks does not delay other keys, nor use up their limit", async () => {
	const run = keyedQueue(options);
	const blocking = task("done");
	const busy = [blocking.run, blocking.run, blocking.run].map((one) => run("busy", one));
	await expect(run("busy", async () => "late")).rejects.toThrow("full");
	expect(await run("idle", async () => "idle")).toBe("idle");
	blocking.end();
	expect(await Promise.all(busy)).toEqual(["done", "done", "done"]);
});

test("a failed task does not stop the next one", async () => {
	const run = keyedQueue(options);
	const failing = run("key", async () => {
		throw new Error("failed");
	});
	const next = run("key", async () => "next");
	await expect(failing).rejects.toThrow("failed");
	expect(await next).toBe("next");
});
