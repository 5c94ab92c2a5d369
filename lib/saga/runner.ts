import { microBatch } from "../async/micro-batch.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { errorKind } from "../observability/tracing/error-kind.ts";
import { addSpanEvent } from "../observability/tracing/span-events.ts";
import type { Compensation, Saga, SagaOptions, SagaOutcome, StepFailure, Wait } from "./saga.ts";

/** End of a wait in epoch milliseconds. */
const deadlineOf = ({ deadline }: Outcome): number =>
	deadline === undefined ? Number.POSITIVE_INFINITY : Date.parse(deadline);

/** Reason of a compensation: the refusal of a step, an expired wait, or no outcome in time. */
const refusalOf = ({ expired }: { readonly expired?: string }, outcome: Outcome | undefined) =>
	outcome?.status === "waiting"
		? { reason: expired ?? "TIMED_OUT" }
		: { reason: outcome?.code ?? "TIMED_OUT", ...explanationOf(outcome) };

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
	const markWaiting = microBatch<Wait<S>, Written | false>((all) => store.markWaiting(all));
	const markCompensating = microBatch<Compensation<S>, boolean>((all) =>
		store.markCompensating(all),
	);
	const markCompensated = microBatch<Compensation<S>, Written | false>((all) =>
		store.markCompensated(all),
	);
	const recordFailure = microBatch<StepFailure<S>, boolean>((all) => store.recordFailures(all));
	/**
	 * Runs of this node. A saga has two runs for a moment when it is cancelled on the node that runs
	 * it.
	 */
	const runs = new Map<Promise<Result>, string>();
	let draining = false;
	let stopping = false;

	type Failure = Pick<StepFailure<S>, "tries" | "error" | "isLast">;
	/**
	 * Repeats an inconclusive attempt. Returns undefined when `expired` or when this node stops.
	 * @param onFailure receives each failure. Must not reject
	 */
	async function retry<R>(
		saga: S,
		where: string,
		attempt: () => Promise<R | undefined>,
		expired: (tries: number) => boolean,
		onFailure?: (failure: Failure) => Promise<void>,
	): Promise<R | undefined> {
		for (let tries = 1; !stopping; await pause(backoff(tries++ - 1))) {
			let error = "PENDING";
			try {
				const result = await attempt();
				if (result !== undefined) return result;
			} catch (thrown) {
				error = errorKind(thrown);
				onError(saga, where, thrown);
				addSpanEvent(saga, "retry", { step: where, try: tries + 1, "error.type": error });
			}
			const isLast = expired(tries);
			await onFailure?.({ tries, error, isLast });
			if (isLast) break;
		}
		return undefined;
	}
	/**
	 * Repeats a call of a step until its outcome is conclusive, see `retry`. Failures are recorded,
	 * but a saga does not depend on their records.
	 */
	const callStep = (
		saga: S,
		step: string,
		call: () => Promise<Outcome>,
		expired: (tries: number) => boolean,
	): Promise<Outcome | undefined> =>
		retry(
			saga,
			step,
			() => conclusive(call()),
			expired,
			async (failure) => {
				await recordFailure({ saga, step, ...failure }).catch((error) =>
					onError(saga, "record failure", error),
				);
			},
		);
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

	/** @param first result of {@link startFirstStep}, if the saga was stored meanwhile */
	async function forward(saga: S, first: Promise<Outcome> | undefined): Promise<Result> {
		let started = first;
		/** Takes the result that was started; every repetition executes the step itself. */
		const executeStep = (index: number): Promise<Outcome> => {
			const outcome = started ?? batches[index]!.execute(saga);
			started = undefined;
			return outcome;
		};
		const isOverdue = () => now() >= saga.deadline;
		for (const [index, step] of steps.entries()) {
			if (step.applies?.(saga) === false) continue;
			const outcome = await callStep(saga, step.name, () => executeStep(index), isOverdue);
			if (outcome?.status === "done") continue;
			if (outcome?.status === "waiting" && !(now() >= deadlineOf(outcome)))
				return park(saga, outcome);
			const compensation = { saga, ...refusalOf(step, outcome) };
			addSpanEvent(saga, "compensation", { step: step.name, reason: compensation.reason });
			// The decision is stored before any compensation: no later run executes further steps.
			if (!(await write(saga, "mark compensating", () => markCompensating(compensation))))
				return { status: "lost" };
			// Compensates refused steps as well: an earlier or duplicate call may still arrive. An
			// earlier run of this saga may have executed more steps.
			return backward(compensation, saga.attempt > 1 ? steps.length : index + 1);
		}
		const written = await write(saga, "complete", () => complete(saga));
		return written ? ({ status: "completed", ...written } as Result) : { status: "lost" };
	}

	async function park(saga: S, outcome: Outcome): Promise<Result> {
		const until = deadlineOf(outcome);
		const wait = { saga, until: Number.isFinite(until) ? until : undefined, data: outcome.data };
		const written = await write(saga, "park", () => markWaiting(wait));
		return written ? ({ status: "waiting", ...written } as Result) : { status: "lost" };
	}

	/** Compensates the first `executed` steps, last one first. */
	async function backward(compensation: Compensation<S>, executed: number): Promise<Result> {
		const { saga, reason } = compensation;
		const exhausted = (tries: number) => tries >= maxCompensationAttempts;
		for (let index = executed - 1; index >= 0; index--) {
			if (steps[index]!.applies?.(saga) === false) continue;
			const outcome = await callStep(
				saga,
				`undo ${steps[index]!.name}`,
				() => batches[index]!.compensate(saga),
				exhausted,
			);
			if (outcome?.status === "done") continue;
			// The last step is compensated first; if it refuses, nothing has been compensated yet.
			const isRefused = outcome && index === steps.length - 1;
			if (isRefused && (await write(saga, "abort", async () => (await store.abort([saga]))[0])))
				return { status: "aborted", reason: outcome.code ?? "REFUSED" };
			return (await write(
				saga,
				"mark stuck",
				async () => (await store.markStuck([compensation]))[0],
			))
				? { status: "stuck", reason }
				: { status: "lost" };
		}
		const written = await write(saga, "mark compensated", () => markCompensated(compensation));
		if (!written) return { status: "lost" };
		return { status: "closed", reason, ...explanationOf(compensation), ...written } as Result;
	}

	/**
	 * Executes the first step of a saga while the saga is being stored. Pass the result to `run`. If
	 * the saga is not stored, the step must be compensated with `compensateFirstStep`, or expire.
	 * @returns undefined if the saga does not have this step
	 */
	function startFirstStep(saga: S): Promise<Outcome> | undefined {
		if (steps[0]!.applies?.(saga) === false) return undefined;
		const outcome = batches[0]!.execute(saga);
		// `run` handles a failure as one of the step.
		outcome.catch(() => undefined);
		return outcome;
	}

	/** Compensates the first step of a saga that was not stored. Never rejects. */
	async function compensateFirstStep(saga: S): Promise<void> {
		await batches[0]!
			.compensate(saga)
			.catch((error) => onError(saga, `undo ${steps[0]!.name}`, error));
	}

	/**
	 * Runs one saga of this node to its end. Never rejects.
	 * @param first the result of `startFirstStep`
	 */
	function run(saga: S, first?: Promise<Outcome>): Promise<Result> {
		const running = around(saga, (traced) => execute(traced, first)).catch((error): Result => {
			onError(saga, "run", error);
			return { status: "lost" };
		});
		runs.set(running, saga.id);
		running.finally(() => runs.delete(running));
		return running;
	}

	const execute = (saga: S, first?: Promise<Outcome>): Promise<Result> =>
		saga.direction === "forward"
			? forward(saga, first)
			: backward({ saga, reason: saga.reason ?? "CANCELLED" }, steps.length);

	async function claimDue(): Promise<void> {
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

	/** Concurrent calls share one claim, which starts after the last one. */
	const wake = microBatch<undefined, undefined>(async (all) => {
		await claimDue();
		return all.map(() => undefined);
	});

	let polling: Promise<unknown> = Promise.resolve();
	async function poll(): Promise<void> {
		while (!stopping) {
			polling = wake(undefined);
			await polling;
			await pause(options.heartbeatMs);
		}
	}
	async function register(): Promise<boolean> {
		try {
			await store.heartbeat();
			return true;
		} catch (error) {
			onError(undefined, "register", error);
			return false;
		}
	}
	return {
		run,
		startFirstStep,
		compensateFirstStep,
		/**
		 * Registers the node, as soon as the store responds: without a lease, other nodes would claim
		 * its sagas. Then claims sagas that are due or abandoned, now and regularly.
		 */
		async start(): Promise<void> {
			while (!stopping && !(await register())) await pause(options.heartbeatMs);
			poll();
		},
		/** Claims now, for instance after an event has resumed a saga. */
		wake(): void {
			wake(undefined);
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
			await store.release().catch((error) => onError(undefined, "release", error));
		},
	};
}
export type SagaRunner<S extends Saga, Written = true> = ReturnType<
	typeof createSagaRunner<S, Written>
>;
