import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { microBatch } from "../async/micro-batch.ts";
import { startPoller } from "../async/poller.ts";
import {
	currentTraceparent,
	currentTraceparents,
	isSampled,
	isTraceparent,
	runInTrace,
	runInTracesOf,
	traceIdOf,
	traceparentsOf,
} from "./traceparent.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const one = `00-${trace}-00f067aa0ba902b7-01`;
const other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

test("isTraceparent accepts version 00 of the specification only", () => {
	for (const good of [one, other]) expect(isTraceparent(good)).toBe(true);
	for (const bad of [
		undefined,
		["00"],
		"",
		"00-0-0-01",
		one.toUpperCase(),
		`${one}-more`,
		`ff${one.slice(2)}`,
		`00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
		`00-${trace}-${"0".repeat(16)}-01`,
	])
		expect(isTraceparent(bad)).toBe(false);
	expect(traceIdOf(one)).toBe(trace);
	expect([traceIdOf(undefined), traceIdOf(null)]).toEqual([undefined, undefined]);
});

test("runInTrace sets the trace for its own asynchronous work only", async () => {
	const seen = await Promise.all(
		[one, other, undefined].map((traceparent) =>
			runInTrace(traceparent, async () => {
				await new Promise(setImmediate);
				return currentTraceparent();
			}),
		),
	);
	expect(seen).toEqual([one, other, undefined]);
	expect(currentTraceparent()).toBeUndefined();
});

test("a batch has the traces of all its elements, and a current trace if it is one", async () => {
	const found: unknown[] = [];
	const add = microBatch(async (all: number[]) => {
		found.push([currentTraceparent(), currentTraceparents()]);
		return all;
	});
	await runInTrace(one, async () => {
		await Promise.all([add(1), add(2)]);
		expect(currentTraceparent()).toBe(one);
	});
	await Promise.all([
		runInTrace(one, () => add(1)),
		add(2),
		runInTrace(other, () => add(3)),
		runInTrace(one, () => add(4)),
	]);
	await add(1);
	expect(found).toEqual([
		[one, [one]],
		[undefined, [one, other]],
		[undefined, []],
	]);
	expect([isSampled(one), isSampled(other)]).toEqual([true, false]);
	expect(
		runInTracesOf([{ traceparent: one }, { traceparent: null }], () => [
			currentTraceparent(),
			currentTraceparents(),
		]),
	).toEqual([undefined, [one]]);
});

test("a poller runs outside the trace that started it", async () => {
	const found: unknown[] = [];
	const poller = runInTrace(one, () =>
		startPoller({
			intervalMs: 1,
			async poll() {
				found.push(currentTraceparent());
				return false;
			},
			onError: () => {},
		}),
	);
	await eventually(() => expect(found).toContain(undefined));
	await poller.stop();
	expect(found).not.toContain(one);
});

test("traceparentsOf falls back to the current trace and returns null without any trace", () => {
	const elements = [{ traceparent: one }, {}, { traceparent: null }];
	expect(traceparentsOf(elements)).toEqual([one, null, null]);
	expect(runInTrace(other, () => traceparentsOf(elements))).toEqual([one, other, other]);
	expect(traceparentsOf([{}, { traceparent: null }])).toBeNull();
});
