import type { MicroBatchOptions } from "../async/micro-batch.ts";
import type { Outcome } from "../contracts/outcome.ts";

/** A transaction across services. Types that extend it add its data. */
export interface Saga {
	readonly id: string;
	readonly direction: "forward" | "backward";
	/** Fencing token: each claim increments it, and the store rejects writes with an older one. */
	readonly attempt: number;
	/**
	 * Epoch milliseconds; afterwards an inconclusive call of a step is not repeated, and the saga is
	 * compensated. A step that succeeds at once is also executed later, such as after an outage of
	 * all nodes. A resumed saga has a new deadline: the time that it waited does not count.
	 */
	readonly deadline: number;
	/** Reason of the compensation. */
	readonly reason?: string;
}
/**
 * A step and its compensation. Both are set-based and idempotent, and may run at any time and more
 * than once: calls of superseded runs and calls that timed out may still arrive. One list may even
 * contain a saga twice.
 */
export interface Step<S extends Saga> {
	readonly name: string;
	/**
	 * Whether the saga has this step; every saga by default. The result must not change between the
	 * runs of a saga: a step that is skipped is not compensated.
	 */
	applies?(saga: S): boolean;
	/**
	 * A refusal leaves nothing to compensate; a later call may succeed. `waiting` parks the saga
	 * until the store resumes it, at the latest at the deadline of the outcome; the step is then
	 * executed again.
	 */
	execute(sagas: S[]): Promise<Outcome[]>;
	/** Reason of the compensation if the step still waits at its deadline. */
	readonly expired?: string;
	/**
	 * Compensating a step that was not executed leaves a tombstone, which rejects a late execution
	 * permanently. A refusal is final.
	 */
	compensate(sagas: S[]): Promise<Outcome[]>;
}
/**
 * Storage of sagas. Each write reports per saga whether it was applied: the attempt is current and
 * the saga is in the required state. A write whose response was lost is repeated.
 */
export interface SagaStore<S extends Saga, Written = true> {
	/** Completes sagas whose steps are all executed. Requires `forward`. */
	complete(sagas: S[]): Promise<(Written | false)[]>;
	/**
	 * Parks sagas without an owner until {@link Wait.until} or until an event resumes them. An event
	 * that arrives between the execution of the step and this write resumes the saga as well.
	 * Requires `forward`.
	 */
	markWaiting(waits: Wait<S>[]): Promise<(Written | false)[]>;
	/**
	 * Records the decision to compensate. Also true if the same attempt has recorded it before:
	 * otherwise its run would end and nothing would continue the saga.
	 */
	markCompensating(sagas: Compensation<S>[]): Promise<boolean[]>;
	/** Ends compensated sagas. Requires `backward`. */
	markCompensated(sagas: Compensation<S>[]): Promise<(Written | false)[]>;
	/**
	 * Restores the completed status because an earlier event prevents compensation. False for sagas
	 * that never completed.
	 */
	abort(sagas: S[]): Promise<boolean[]>;
	/**
	 * Stops the compensation after too many failures, until an operator requests it again. Requires
	 * `backward`.
	 */
	markStuck(sagas: Compensation<S>[]): Promise<boolean[]>;
	/**
	 * Records attempts of steps that have failed. Requires the current attempt of the saga; a failure
	 * that has been recorded before is not recorded again.
	 */
	recordFailures(failures: StepFailure<S>[]): Promise<boolean[]>;
	/**
	 * Claims sagas that `running` does not list, each with a new attempt: parked sagas that are due,
	 * those of nodes that stopped responding, and those that this node has owned for longer than a
	 * lease because the response that would have started them was lost.
	 */
	claim(limit: number, running: string[]): Promise<S[]>;
	/** Renews the leases of this node. */
	heartbeat(): Promise<void>;
	/** Releases all sagas of this node. */
	release(): Promise<void>;
}
export interface Compensation<S extends Saga> {
	readonly saga: S;
	readonly reason: string;
	readonly detail?: string;
	/** Data of the refusal, see `outcome`. Not stored. */
	readonly data?: unknown;
}
/** A call of a step or its compensation without a conclusive outcome. */
export interface StepFailure<S extends Saga> {
	readonly saga: S;
	/** Name of the step, after `undo ` if its compensation failed. */
	readonly step: string;
	/** Number of calls of this step in this run of the saga. */
	readonly tries: number;
	/** Kind of the error, never its message (see `errorKind`); PENDING if there was none. */
	readonly error: string;
	/** Whether the run does not repeat the call. */
	readonly isLast: boolean;
}
/** A saga that waits for an external decision. */
export interface Wait<S extends Saga> {
	readonly saga: S;
	/** Epoch milliseconds at which the saga resumes without an event; undefined for never. */
	readonly until: number | undefined;
	/** Data of the step's outcome. */
	readonly data: unknown;
}
/**
 * End of a run. `waiting`: the saga is parked, and a later run continues it. `lost`: the store has
 * the outcome; another run has claimed the saga, or the response to the last write was lost.
 */
export type SagaOutcome<Written = true> =
	| (MembersOf<Written> & { readonly status: "completed" })
	| (MembersOf<Written> & Refusal & { readonly status: "closed" })
	| (MembersOf<Written> & { readonly status: "waiting" })
	| (Refusal & { readonly status: "stuck" })
	| { readonly status: "aborted"; readonly reason: string }
	| { readonly status: "lost" };

interface Refusal {
	readonly reason: string;
	readonly detail?: string;
	readonly data?: unknown;
}
/**
 * Members that the final write of a saga adds to its outcome, for instance the new state of the
 * order. A store that returns `true` adds none.
 */
type MembersOf<Written> = Written extends object ? Written : unknown;

export interface SagaOptions<S extends Saga, Written = true> {
	readonly steps: readonly Step<S>[];
	readonly store: SagaStore<S, Written>;
	/** Limits the size of a batch that is sent to a step as one message. */
	readonly messages?: Required<Pick<MicroBatchOptions<S>, "maxBytes" | "bytesOf">>;
	/** Milliseconds between two heartbeats; at most a third of the lease. */
	readonly heartbeatMs: number;
	/** Attempts of a failing compensation before the saga is stuck. */
	readonly maxCompensationAttempts?: number;
	/** Milliseconds before a repetition (0, 1, …). */
	backoff?(repetition: number): number;
	now?(): number;
	pause?(milliseconds: number): Promise<void>;
	onError(saga: S | undefined, where: string, error: unknown): void;
	/**
	 * Wraps each run, for instance in a span. Calls `run` with the saga, or with a copy that the
	 * steps receive.
	 */
	around?(saga: S, run: (saga: S) => Promise<SagaOutcome<Written>>): Promise<SagaOutcome<Written>>;
}
