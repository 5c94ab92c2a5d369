import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { eventually } from "../../../test/support/eventually.ts";
import { eventLoopDelay } from "./event-loop-delay.ts";

const block = (ms: number): void => {
	for (const until = performance.now() + ms; performance.now() < until; ) Math.sqrt(until);
};

test("reports the delay since the previous read", async () => {
	const read = eventLoopDelay(60_000);
	expect(read()).toBeUndefined();
	const observer = monitorEventLoopDelay({ resolution: 20 });
	observer.enable();
	// The first sample only begins the measurement.
	await eventually(() => expect(observer.count).toBeGreaterThan(10));
	block(400);
	await eventually(() => expect(observer.max).toBeGreaterThan(200e6));
	await nextTurn();
	const delays = read()!;
	expect(delays.max).toBeGreaterThan(0.2);
	expect(delays.p99).toBeGreaterThan(0.2);
	observer.disable();
});

test("stops without readers and starts again with the next one", async () => {
	const read = eventLoopDelay(1);
	expect(read()).toBeUndefined();
	await eventually(() => expect(read()).toBeUndefined());
});
