import { expect, jest, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { pollerGroup, startPoller } from "./poller.ts";

const NEVER_MS = 3_600_000;
const fail = (error: unknown) => {
	throw error;
};

test("a poller that is woken during a poll polls once more, without overlap", async () => {
	let polls = 0;
	let concurrent = 0;
	let release: (() => void) | undefined;
	const poller = startPoller({
		intervalMs: NEVER_MS,
		async poll() {
			polls++;
			expect(++concurrent).toBe(1);
			await new Promise<void>((resolve) => {
				release = resolve;
			});
			concurrent--;
			return false;
		},
		onError: fail,
	});
	poller.wake();
	await eventually(() => expect(polls).toBe(1));
	poller.wake();
	poller.wake();
	release!();
	await eventually(() => expect(polls).toBe(2));
	const stopped = poller.stop();
	release!();
	await stopped;
	expect(polls).toBe(2);
});

test("a poller continues immediately while there is more work, and after a failure", async () => {
	const remaining = [true, true, false];
	const errors: unknown[] = [];
	let failures = 1;
	const poller = startPoller({
		intervalMs: 1,
		async poll() {
			if (failures-- > 0) throw new Error("down");
			return remaining.shift() ?? false;
		},
		onError: (error) => errors.push(error),
	});
	await eventually(() => expect(remaining).toEqual([]));
	await poller.stop();
	expect(errors).toEqual([new Error("down")]);
});

test("a poller waits until the next work is due, between its interval and its limit", async () => {
	jest.useFakeTimers();
	const due = [1, 40, Number.POSITIVE_INFINITY, 0];
	const times: number[] = [];
	let now = 0;
	const poller = startPoller({
		intervalMs: 10,
		idleMs: 100,
		async poll() {
			times.push(now);
			return due.shift() ?? false;
		},
		onError: fail,
	});
	while (now < 200) {
		now += 1;
		jest.advanceTimersByTime(1);
		for (let i = 0; i < 10; i++) await Promise.resolve();
	}
	expect(times.slice(0, 6)).toEqual([10, 20, 60, 160, 170, 180]);
	jest.useRealTimers();
	await poller.stop();
});

test("stop waits for the running poll and does not report its failure", async () => {
	let started = false;
	let failPoll: ((error: Error) => void) | undefined;
	const poller = startPoller({
		intervalMs: NEVER_MS,
		poll: () =>
			new Promise((_, reject) => {
				started = true;
				failPoll = reject;
			}),
		onError: fail,
	});
	poller.wake();
	await eventually(() => expect(started).toBe(true));
	let stopped = false;
	const stopping = poller.stop().then(() => {
		stopped = true;
	});
	await Promise.resolve();
	expect(stopped).toBe(false);
	failPoll!(new Error("the database is closing"));
	await stopping;
	await poller.stop();
});

test("a group wakes all its pollers, and stops after their running polls", async () => {
	const group = pollerGroup();
	const { promise: released, resolve: release } = Promise.withResolvers<void>();
	const polls = { first: 0, second: 0 };
	for (const name of ["first", "second"] as const)
		group.start({
			intervalMs: NEVER_MS,
			async poll() {
				polls[name]++;
				await released;
				return true;
			},
			onError: fail,
		});
	group.wake();
	await eventually(() => expect(polls).toEqual({ first: 1, second: 1 }));
	let isStopped = false;
	const stopped = group.stop().then(() => {
		isStopped = true;
	});
	await Promise.resolve();
	expect(isStopped).toBe(false);
	release();
	await stopped;
	expect(polls).toEqual({ first: 1, second: 1 });
});
