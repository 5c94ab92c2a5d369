import { expect, test } from "@jest/globals";
import type { FailureRecord } from "../saga/failures.ts";
import { stepRetries } from "./step-retries.ts";

const trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const failure = (changes: Partial<FailureRecord> = {}): FailureRecord => ({
	attempt: 1,
	step: "charge",
	tries: 1,
	error: "REQUEST_TIMEOUT",
	is_last: false,
	traceparent: `00-${trace_id}-00f067aa0ba902b7-01`,
	time: "2026-01-01T00:00:00.000Z",
	...changes,
});
const statesOf = (failures: FailureRecord[], run: Parameters<typeof stepRetries>[1]) =>
	stepRetries(failures, run, false).map(
		({ name, detail }) => `${name} ${(detail as { state: string }).state}`,
	);
const open = { sagaState: "forward", attempt: 1 } as const;
const ended = { sagaState: null, attempt: 1 } as const;

test("a failed call of a step is an entry with the number of the call and its trace", () => {
	expect(stepRetries([failure({ tries: 2 })], ended, false)).toEqual([
		{
			time: "2026-01-01T00:00:00.000Z",
			source: "orders",
			kind: "retry",
			name: "charge",
			detail: { attempt: 2, state: "done" },
			trace_id,
		},
	]);
	expect(stepRetries([failure({ traceparent: null })], ended, false)).toMatchObject([
		{ trace_id: null },
	]);
});

test("only administrators see the kind of the error", () => {
	const [entry] = stepRetries([failure()], ended, true);
	expect(entry!.detail).toEqual({ attempt: 1, state: "done", error: "REQUEST_TIMEOUT" });
});

test("the last failing step waits while its run is open", () => {
	const failures = [failure({ step: "reserve" }), failure(), failure({ tries: 2 })];
	const waiting = ["reserve done", "charge waiting", "charge waiting"];
	const done = ["reserve done", "charge done", "charge done"];
	expect(statesOf(failures, open)).toEqual(waiting);
	expect(statesOf(failures, ended)).toEqual(done);
	// Another run continues the saga, or it waits for the payment.
	expect(statesOf(failures, { ...open, attempt: 2 })).toEqual(done);
	expect(statesOf(failures, { ...open, sagaState: "waiting" })).toEqual(done);
});

test("all failures of a step that its run has given up are dead", () => {
	const failures = [
		failure({ step: "reserve" }),
		failure(),
		failure({ tries: 2, is_last: true }),
		failure({ step: "undo charge" }),
		failure({ attempt: 2 }),
	];
	expect(statesOf(failures, { sagaState: "backward", attempt: 2 })).toEqual([
		"reserve done",
		"charge dead",
		"charge dead",
		"undo charge done",
		"charge waiting",
	]);
});
