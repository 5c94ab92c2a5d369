import { type MicroBatchOptions, microBatch } from "../async/micro-batch.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { errorKind } from "../observability/tracing/error-kind.ts";
import { addSpanEvent } from "../observability/tracing/span-events.ts";

/** A transaction across services. Types that extend it add its data. */
export interface Saga {
	readonly id: string;
	readonly direction: "forward" | "backward";
	/** Fencing token: each claim increments it, and the store rejects writes with an older one. */
	readonly attempt: number;
	/** Epoch milliseconds; afterwards the saga executes no further steps and is compensated. */
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
	/** A refusal leaves nothing to compensate; a later call may succeed. */
	execute(sagas: S[]): Promise<Outcome[]>;
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
	 * Claims abandoned sagas that `running` does not list, each with a new attempt: those of nodes
	 * that stopped responding, and those that this node has owned for longer than a lease because the
	 * response that would have started them was lost.
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
/**
 * End of a run. `lost`: the store has the outcome; another run has claimed the saga, or the
 * response to the last write was lost.
 */
export type SagaOutcome<Written = true> =
	| (MembersOf<Written> & { readonly status: "completed" })
	| (MembersOf<Written> & Refusal & { readonly status: "closed" })
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
	/** Wraps each run, for instance in a span. Calls `run` with the saga, or with a copy that the steps receive. */
	around?(saga: S, run: (saga: S) => Promise<SagaOutcome<Written>>): Promise<SagaOutcome<Written>>;
}

/** Detail and data of a refusal. */
const explanationOf = ({
	detail,
	data,
}: {
	readonly detail?: string;
	readonly data?: unknown;
} = {}) => ({
	...(detail ? { detail } : {}),
	...(data === undefined ? {} : { data }),
});

const CLAIM_LIMIT = 200;
const doubling = (repetition: number) => Math.min(50 * 2 ** repetition, 5000);
const sleep = (milliseconds: number) =>
	new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());

/**
 * Runs sagas: executes their steps in order, and compensates all possibly executed steps after a
 * refusal. Concurrent sagas at the same step share one call. Inconclusive failures (a timeout, a
 * dead node) are retried, because executing and compensating are idempotent.
 */
export function createSagaRunner<S extends Saga, Written = true>(options: SagaOptions<S, Written>) {
	type Result = SagaOutcome<Written>;
	const {
		steps,
		store,
		messages,
		onError,
		around = (saga, run) => run(saga),
		maxCompensationAttempts = 30,
		backoff = doubling,
		now = Date.now,
		pause = sleep,
	} = options;
	const batches = steps.map((step) => ({
		execute: microBatch<S, Outcome>((all) => step.execute(all), messages),
		compensate: microBatch<S, Outcome>((all) => step.compensate(all), messages),
	}));
	const complete = microBatch<S, Written | false>((all) => store.complete(all));
	const markCompensating = microBatch<Compensation<S>, boolean>((all) =>
		store.markCompensating(all),
	);
	const markCompensated = microBatch<Compensation<S>, Written | false>((all) =>
		store.markCompensated(all),
	);
	/**
	 * Runs of this node. A saga has two runs for a moment when it is cancelled on the node that runs
	 * it.
	 */
	const runs = new Map<Promise<Result>, string>();
	let draining = false;
	let stopping = false;

	/** Repeats an inconclusive attempt. Returns undefined when `expired` or when this node stops. */
	async function retry<R>(
		saga: S,
		where: string,
		attempt: () => Promise<R | undefined>,
		expired: (tries: number) => boolean,
	): Promise<R | undefined> {
		for (let tries = 0; !stopping; await pause(backoff(tries++))) {
			try {
				const result = await attempt();
				if (result !== undefined) return result;
			} catch (error) {
				onError(saga, where, error);
				addSpanEvent(saga, "retry", {
					step: where,
					try: tries + 2,
					"error.type": errorKind(error),
				});
			}
			if (expired(tries + 1)) break;
		}
		return undefined;
	}
	const conclusive = async (outcome: Promise<Outcome>) => {
		const known = await outcome;
		return known.status === "pending" ? undefined : known;
	};
	const never = () => false;
	/**
	 * Repeats a write until the store responds, because the run must have certainty about its
	 * ownership; false when this node stops.
	 */
	const write = async <R>(
		saga: S,
		where: string,
		attempt: () => Promise<R | undefined>,
	): Promise<R | false> => (await retry(saga, where, attempt, never)) ?? false;

	async function forward(saga: S): Promise<Result> {
		const isOverdue = () => now() >= saga.deadline;
		for (const [index, step] of steps.entries()) {
			const outcome = await retry(
				saga,
				step.name,
				() => conclusive(batches[index]!.execute(saga)),
				isOverdue,
			);
			if (outcome?.status === "done") continue;
			const compensation = {
				saga,
				reason: outcome?.code ?? "TIMED_OUT",
				...explanationOf(outcome),
			};
			addSpanEvent(saga, "compensation", { step: step.name, reason: compensation.reason });
			// The decision is stored before any compensation: no later run executes further steps.
			if (!(await write(saga, "turn", () => markCompensating(compensation))))
				return { status: "lost" };
			// Compensates refused steps as well: an earlier or duplicate call may still arrive. An
			// earlier run of this saga may have executed more steps.
			return backward(compensation, saga.attempt > 1 ? steps.length : index + 1);
		}
		const written = await write(saga, "complete", () => complete(saga));
		return written ? ({ status: "completed", ...written } as Result) : { status: "lost" };
	}

	/** Compensates the first `executed` steps, last one first. */
	async function backward(compensation: Compensation<S>, executed: number): Promise<Result> {
		const { saga, reason } = compensation;
		const exhausted = (tries: number) => tries >= maxCompensationAttempts;
		for (let index = executed - 1; index >= 0; index--) {
			const outcome = await retry(
				saga,
				`undo ${steps[index]!.name}`,
				() => conclusive(batches[index]!.compensate(saga)),
				exhausted,
			);
			if (outcome?.status === "done") continue;
			// The last step is compensated first; if it refuses, nothing has been compensated yet.
			const isRefused = outcome && index === steps.length - 1;
			if (isRefused && (await write(saga, "abort", async () => (await store.abort([saga]))[0])))
				return { status: "aborted", reason: outcome.code ?? "REFUSED" };
			return (await write(saga, "stall", async () => (await store.markStuck([compensation]))[0]))
				? { status: "stuck", reason }
				: { status: "lost" };
		}
		const written = await write(saga, "close", () => markCompensated(compensation));
		if (!written) return { status: "lost" };
		return { status: "closed", reason, ...explanationOf(compensation), ...written } as Result;
	}

	/** Runs one saga of this node to its end. Never rejects. */
	function run(saga: S): Promise<Result> {
		const running = around(saga, execute).catch((error): Result => {
			onError(saga, "run", error);
			return { status: "lost" };
		});
		runs.set(running, saga.id);
		running.finally(() => runs.delete(running));
		return running;
	}

	const execute = (saga: S): Promise<Result> =>
		saga.direction === "forward"
			? forward(saga)
			: backward({ saga, reason: saga.reason ?? "CANCELLED" }, steps.length);

	async function claimAbandoned(): Promise<void> {
		try {
			await store.heartbeat();
			if (draining) return;
			// A stopping node releases its claims when it leaves.
			for (const saga of await store.claim(CLAIM_LIMIT, [...runs.values()]))
				if (!draining) run(saga);
		} catch (error) {
			onError(undefined, "claim", error);
		}
	}

	let polling: Promise<void> = Promise.resolve();
	async function poll(): Promise<void> {
		while (!stopping) {
			polling = claimAbandoned();
			await polling;
			await pause(options.heartbeatMs);
		}
	}
	return {
		run,
		/** Registers the node, and claims abandoned sagas now and regularly. */
		async start(): Promise<void> {
			await store.heartbeat();
			poll();
		},
		/**
		 * Lets current runs finish for up to `grace` milliseconds, then leaves the others to other
		 * nodes.
		 */
		async stop(grace = 3000): Promise<void> {
			draining = true;
			const allRuns = async () => {
				while (runs.size > 0) await Promise.all(runs.keys());
			};
			await Promise.race([allRuns(), pause(grace)]);
			stopping = true;
			await polling;
			await Promise.race([allRuns(), pause(1000)]);
			await store.release().catch((error) => onError(undefined, "leave", error));
		},
	};
}
export type SagaRunner<S extends Saga, Written = true> = ReturnType<
	typeof createSagaRunner<S, Written>
>;
