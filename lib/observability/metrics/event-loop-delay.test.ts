import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { eventually } from "../../../test/support/eventually.ts";
import { eventLoopDelay } from "./event-loop-delay.ts";

test("reports the delay since the previous read", async () => {
	const read = eventLoopDelay();
	expect(read()).toBeNull();
	const observer = monitorEventLoopDelay({ resolution: 20 });
	observer.enable();
	await eventually(() => expect(observer.count).toBeGreaterThan(1));
	const until = performance.now() + 100;
	while (performance.now() < until) Math.sqrt(until);
	await eventually(() => expect(observer.max).toBeGreaterThan(50e6));
	await nextTurn();
	expect(read()).toBeGreaterThan(50);
	observer.disable();
});

test("stops without readers and starts again with the next one", async () => {
	const read = eventLoopDelay(1);
	expect(read()).toBeNull();
	await eventually(() => expect(read()).toBeNull());
});
