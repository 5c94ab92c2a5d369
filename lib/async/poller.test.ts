import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { startPoller } from "./poller.ts";

const never = 3_600_000;
const fail = (error: unknown) => {
	throw error;
};

test("a loop that is woken during a turn takes another one, and turns never overlap", async () => {
	let turns = 0;
	let under = 0;
	let release: (() => void) | undefined;
	const looping = startPoller({
		intervalMs: never,
		async poll() {
			turns++;
			expect(++under).toBe(1);
			await new Promise<void>((resolve) => {
				release = resolve;
			});
			under--;
			return false;
		},
		onError: fail,
	});
	looping.wake();
	await eventually(() => expect(turns).toBe(1));
	looping.wake();
	looping.wake();
	release!();
	await eventually(() => expect(turns).toBe(2));
	const stopped = looping.stop();
	release!();
	await stopped;
	expect(turns).toBe(2);
});

test("a loop goes on at once while there is more, and after a failure", async () => {
	const left = [true, true, false];
	const errors: unknown[] = [];
	let failures = 1;
	const looping = startPoller({
		intervalMs: 1,
		async poll() {
			if (failures-- > 0) throw new Error("down");
			return left.shift() ?? false;
		},
		onError: (error) => errors.push(error),
	});
	await eventually(() => expect(left).toEqual([]));
	await looping.stop();
	expect(errors).toEqual([new Error("down")]);
});

test("a loop that is stopped waits for its turn and keeps quiet about its failure", async () => {
	let begun = false;
	let fall: ((error: Error) => void) | undefined;
	const looping = startPoller({
		intervalMs: never,
		poll: () =>
			new Promise((_, reject) => {
				begun = true;
				fall = reject;
			}),
		onError: fail,
	});
	looping.wake();
	await eventually(() => expect(begun).toBe(true));
	let stopped = false;
	const stopping = looping.stop().then(() => {
		stopped = true;
	});
	await Promise.resolve();
	expect(stopped).toBe(false);
	fall!(new Error("the database is closing"));
	await stopping;
	await looping.stop();
});
