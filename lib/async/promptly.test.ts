import { expect, test } from "@jest/globals";
import { settleWithin } from "./promptly.ts";

const HOUR = 3_600_000;
const never = new Promise<string>(() => undefined);
const fulfilled = (value: string) => ({ status: "fulfilled", value });

test("nobody waits longer than for the last answer", async () => {
	const error = new Error("no");
	const all = [
		Promise.resolve("a"),
		Promise.reject(error),
		new Promise<string>((resolve) => setImmediate(resolve, "c")),
	];
	const results = await settleWithin(all, { budget: HOUR, lull: HOUR });
	expect(results).toEqual([fulfilled("a"), { status: "rejected", reason: error }, fulfilled("c")]);
	expect(await settleWithin([], { budget: HOUR, lull: HOUR })).toEqual([]);
});

test("once answers have come, the silent ones are not waited for", async () => {
	expect(
		await settleWithin([never, Promise.resolve("b"), never], { budget: HOUR, lull: 5 }),
	).toEqual([undefined, fulfilled("b"), undefined]);
});

test("when nobody answers the budget ends it, and what comes later changes nothing", async () => {
	let answer: (value: string) => void = () => undefined;
	const late = new Promise<string>((resolve) => {
		answer = resolve;
	});
	const results = await settleWithin([late, never], { budget: 5, lull: HOUR });
	answer("too late");
	await late;
	expect(results).toEqual([undefined, undefined]);
});

test("an answer that has arrived counts even where the event loop was too busy to look at it in time", async () => {
	const arriving = new Promise<string>((resolve) => setImmediate(resolve, "there"));
	const results = settleWithin([arriving, never], { budget: 5, lull: 5 });
	const busyUntil = Date.now() + 30;
	while (Date.now() < busyUntil);
	expect(await results).toEqual([fulfilled("there"), undefined]);
});
