import { describe, expect, test } from "@jest/globals";
import { settleWithin } from "./settle-within.ts";

const HOUR = 3_600_000;
const never = new Promise<string>(() => undefined);
const fulfilled = (value: string) => ({ status: "fulfilled", value });

describe("settleWithin", () => {
	test("resolves as soon as all promises have settled", async () => {
		const error = new Error("failed");
		const all = [
			Promise.resolve("a"),
			Promise.reject(error),
			new Promise<string>((resolve) => setImmediate(resolve, "c")),
		];
		const results = await settleWithin(all, { totalMs: HOUR, idleMs: HOUR });
		expect(results).toEqual([
			fulfilled("a"),
			{ status: "rejected", reason: error },
			fulfilled("c"),
		]);
		expect(await settleWithin([], { totalMs: HOUR, idleMs: HOUR })).toEqual([]);
	});

	test("stops waiting for pending promises when none has settled for the idle limit", async () => {
		expect(
			await settleWithin([never, Promise.resolve("b"), never], { totalMs: HOUR, idleMs: 5 }),
		).toEqual([undefined, fulfilled("b"), undefined]);
	});

	test("returns after the total limit and ignores later results", async () => {
		const { promise: late, resolve } = Promise.withResolvers<string>();
		const results = await settleWithin([late, never], { totalMs: 5, idleMs: HOUR });
		resolve("too late");
		await late;
		expect(results).toEqual([undefined, undefined]);
	});

	test("returns a result that arrived while the event loop was busy", async () => {
		const arriving = new Promise<string>((resolve) => setImmediate(resolve, "value"));
		const results = settleWithin([arriving, never], { totalMs: 5, idleMs: 5 });
		const busyUntil = Date.now() + 30;
		while (Date.now() < busyUntil);
		expect(await results).toEqual([fulfilled("value"), undefined]);
	});
});
