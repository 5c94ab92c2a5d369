import { traceIdOf } from "../../../lib/context/traceparent.ts";
import type { Infer } from "../../../lib/contracts/schema.ts";
import type { timelineEntry } from "../orders.contract.shapes.ts";
import type { OrderRecord } from "../orders.queries.ts";
import type { FailureRecord } from "../saga/failures.ts";

type Entry = Infer<typeof timelineEntry>;
type Run = Pick<OrderRecord, "sagaState" | "attempt">;

/**
 * Entries of failed calls of the saga's steps, as those of failed handlers of events: `waiting`
 * while the saga repeats the call, `dead` if it has given it up, otherwise `done`. Customers do not
 * see the kind of the error.
 */
export function stepRetries(
	failures: readonly FailureRecord[],
	run: Run,
	isAdmin: boolean,
): Entry[] {
	const callOf = ({ attempt, step }: FailureRecord) => `${attempt} ${step}`;
	const givenUp = new Set(failures.filter(({ is_last }) => is_last).map(callOf));
	const last = failures.at(-1);
	const repeated = last && isRunning(run, last) ? callOf(last) : undefined;
	return failures.map((failure) => {
		const call = callOf(failure);
		const state = givenUp.has(call) ? "dead" : call === repeated ? "waiting" : "done";
		return {
			time: failure.time,
			source: "orders",
			kind: "retry",
			name: failure.step,
			detail: { attempt: failure.tries, state, ...(isAdmin ? { error: failure.error } : {}) },
			trace_id: traceIdOf(failure.traceparent) ?? null,
		};
	});
}
const isRunning = ({ sagaState, attempt }: Run, failure: FailureRecord): boolean =>
	(sagaState === "forward" || sagaState === "backward") && failure.attempt === attempt;
