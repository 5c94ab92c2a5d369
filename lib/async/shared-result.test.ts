import { expect, test } from "@jest/globals";
import { sharedResult } from "./shared-result.ts";

test("concurrent calls share one execution, later ones its unexpired result", async () => {
	let executions = 0;
	let time = 0;
	const read = sharedResult(
		async () => ++executions,
		500,
		() => time,
	);
	expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1]);
	time = 499;
	expect(await read()).toBe(1);
	time = 500;
	expect(await Promise.all([read(), read()])).toEqual([2, 2]);
	expect(executions).toBe(2);
});

test("the result expires by the end of the execution, not by its start", async () => {
	let time = 0;
	let finish = (_: string) => {};
	const read = sharedResult(
		() => new Promise<string>((resolve) => (finish = resolve)),
		500,
		() => time,
	);
	const first = read();
	time = 1000;
	const second = read();
	finish("slow");
	expect(await Promise.all([first, second])).toEqual(["slow", "slow"]);
	time = 1400;
	expect(await read()).toBe("slow");
});

test("a failure reaches all concurrent calls and is not kept", async () => {
	let executions = 0;
	const read = sharedResult(async () => {
		if (++executions === 1) throw new Error("down");
		return executions;
	}, 500);
	const outcomes = await Promise.allSettled([read(), read()]);
	expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
	expect(await read()).toBe(2);
});
