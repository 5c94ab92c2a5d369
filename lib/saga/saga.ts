import { type MicroBatchOptions, microBatch } from "../async/micro-batch.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { errorKind } from "../observability/tracing/error-kind.ts";
import { addSpanEvent } from "../observability/tracing/span-events.ts";

/** One long transaction over several services. What it is about rides along in the type that extends this. */
export interface Saga {
	readonly id: string;
	readonly direction: "forward" | "backward";
	/** Grows each time somebody takes the saga over. Whoever holds an older number may no longer write: it is the fencing token. */
	readonly attempt: number;
	/** Epoch milliseconds; going forward gives up then. */
	readonly deadline: number;
	/** Why it goes backward. */
	readonly reason?: string;
}
/**
 * One step with its way back, side by side. Both are set-based, idempotent, and may arrive at any time and more than once: runs that were
 * overtaken and calls that timed out are still on their way, so one list may even name a saga twice.
 */
export interface Step<S extends Saga> {
	readonly name: string;
	/** A refusal holds nothing; it may be different next time. */
	execute(sagas: S[]): Promise<Outcome[]>;
	/** Undoing what never happened leaves a tombstone, which refuses a late `do` for ever. What refuses to be undone once does so for ever. */
	compensate(sagas: S[]): Promise<Outcome[]>;
}
/**
 * Where sagas are kept. Each write answers per saga whether it was ours to write: same attempt, and in the state that the write begins with.
 * A write whose answer was lost is sent again.
 */
export interface SagaStore<S extends Saga, Written = true> {
	/** Every step holds. From `forward` to the end. */
	complete(sagas: S[]): Promise<(Written | false)[]>;
	/** From now on only back. Also true when the same attempt has turned already: else its run would end here and the saga be nobody's. */
	markCompensating(sagas: Compensation<S>[]): Promise<boolean[]>;
	/** Nothing is held any more. From `backward` to the end. */
	markCompensated(sagas: Compensation<S>[]): Promise<(Written | false)[]>;
	/** The way back is barred by something that happened first: as if it had never been asked for. False for what was never complete. */
	abort(sagas: S[]): Promise<boolean[]>;
	/** Going back failed too often: left alone until somebody asks for it again. From `backward`. */
	markStuck(sagas: Compensation<S>[]): Promise<boolean[]>;
	/**
	 * Takes over what nobody runs and `running` does not name, each with a new attempt: what nodes that fell silent have left open, and what has
	 * been this node's for longer than a lease, because the answer that would have started it was lost.
	 */
	claim(limit: number, running: string[]): Promise<S[]>;
	/** This node is alive: what it runs stays its own for another while. */
	heartbeat(): Promise<void>;
	/** This node runs nothing any more. */
	release(): Promise<void>;
}
export interface Compensation<S extends Saga> {
	readonly saga: S;
	readonly reason: string;
	readonly detail?: string;
	/** Facts about the refusal, see `outcome`. Not stored. */
	readonly data?: unknown;
}
/** How a run ended. `lost`: the store knows; another run has taken the saga over, or this one's last write went through unanswered. */
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
	/** The bytes of a message in which sagas reach a step together, and the most that one saga takes of it. */
	readonly messages?: Required<Pick<MicroBatchOptions<S>, "maxBytes" | "bytesOf">>;
	/** Milliseconds between two signs of life; a third of the lease at most. */
	readonly heartbeatMs: number;
	/** How often a failing undo is tried before the saga is stuck. */
	readonly maxCompensationAttempts?: number;
	/** Milliseconds before the given repetition (0, 1, …). */
	backoff?(repetition: number): number;
	now?(): number;
	pause?(milliseconds: number): Promise<void>;
	onError(saga: S | undefined, where: string, error: unknown): void;
	/** Wraps each run, for instance in a span. Calls `run` with the saga, or with a copy that the steps receive. */
	around?(saga: S, run: (saga: S) => Promise<SagaOutcome<Written>>): Promise<SagaOutcome<Written>>;
}

/** What a refusal says beyond its code. */
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
 * Runs sagas: forward through their steps, and back through all that may have happened when a step says no. Sagas that reach the same
 * step together travel together. A failure that says nothing (a timeout, a node that died) is tried again, since do and undo are idempotent.
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
	const lanes = steps.map((step) => ({
		do: microBatch<S, Outcome>((all) => step.execute(all), messages),
		undo: microBatch<S, Outcome>((all) => step.compensate(all), messages),
	}));
	const complete = microBatch<S, Written | false>((all) => store.complete(all));
	const turn = microBatch<Compensation<S>, boolean>((all) => store.markCompensating(all));
	const close = microBatch<Compensation<S>, Written | false>((all) => store.markCompensated(all));
	/** What runs here. One saga may run twice, for a moment, when it is taken back where it runs. */
	const open = new Map<Promise<Result>, string>();
	let draining = false;
	let stopping = false;

	/** Repeats what says nothing. Answers undefined when `expired` says so, or when nothing more is to be asked because we stop. */
	async function insist<R>(
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
	const settled = async (outcome: Promise<Outcome>) => {
		const answer = await outcome;
		return answer.status === "pending" ? undefined : answer;
	};
	const never = () => false;
	/** Our own store is asked until it answers, because whether the saga is still ours must be known; or until we stop, and it is not. */
	const write = async <R>(
		saga: S,
		where: string,
		ask: () => Promise<R | undefined>,
	): Promise<R | false> => (await insist(saga, where, ask, never)) ?? false;

	async function forward(saga: S): Promise<Result> {
		const late = () => now() >= saga.deadline;
		for (const [index, step] of steps.entries()) {
			const outcome = await insist(saga, step.name, () => settled(lanes[index]!.do(saga)), late);
			if (outcome?.status === "done") continue;
			const turned = { saga, reason: outcome?.code ?? "TIMED_OUT", ...explanationOf(outcome) };
			addSpanEvent(saga, "compensation", { step: step.name, reason: turned.reason });
			// The decision is on record before anything is undone: nobody who takes over may go forward again.
			if (!(await write(saga, "turn", () => turn(turned)))) return { status: "lost" };
			// Whatever was asked is undone, also what was refused: an earlier or second copy of the call may still be on its way. Another run
			// of this saga may have asked for more.
			return backward(turned, saga.attempt > 1 ? steps.length : index + 1);
		}
		const written = await write(saga, "complete", () => complete(saga));
		return written ? ({ status: "completed", ...written } as Result) : { status: "lost" };
	}

	/** Undoes the first `asked` steps, last one first. */
	async function backward(turned: Compensation<S>, asked: number): Promise<Result> {
		const { saga, reason } = turned;
		const exhausted = (tries: number) => tries >= maxCompensationAttempts;
		for (let index = asked - 1; index >= 0; index--) {
			const outcome = await insist(
				saga,
				`undo ${steps[index]!.name}`,
				() => settled(lanes[index]!.undo(saga)),
				exhausted,
			);
			if (outcome?.status === "done") continue;
			// The last step comes undone first; when it refuses, nothing has been undone yet.
			const barred = outcome && index === steps.length - 1;
			if (barred && (await write(saga, "abort", async () => (await store.abort([saga]))[0])))
				return { status: "aborted", reason: outcome.code ?? "REFUSED" };
			return (await write(saga, "stall", async () => (await store.markStuck([turned]))[0]))
				? { status: "stuck", reason }
				: { status: "lost" };
		}
		const written = await write(saga, "close", () => close(turned));
		if (!written) return { status: "lost" };
		return { status: "closed", reason, ...explanationOf(turned), ...written } as Result;
	}

	/** Runs one saga that this node owns to its end. Never rejects. */
	function run(saga: S): Promise<Result> {
		const tracked = around(saga, execute).catch((error): Result => {
			onError(saga, "run", error);
			return { status: "lost" };
		});
		open.set(tracked, saga.id);
		tracked.finally(() => open.delete(tracked));
		return tracked;
	}

	const execute = (saga: S): Promise<Result> =>
		saga.direction === "forward"
			? forward(saga)
			: backward({ saga, reason: saga.reason ?? "CANCELLED" }, steps.length);

	async function watch(): Promise<void> {
		try {
			await store.heartbeat();
			if (draining) return;
			// What a stopping node has claimed is nobody's again as soon as the node leaves.
			for (const saga of await store.claim(CLAIM_LIMIT, [...open.values()]))
				if (!draining) run(saga);
		} catch (error) {
			onError(undefined, "claim", error);
		}
	}

	let watching: Promise<void> = Promise.resolve();
	async function keepWatching(): Promise<void> {
		while (!stopping) {
			watching = watch();
			await watching;
			await pause(options.heartbeatMs);
		}
	}
	return {
		run,
		/** Signs in and takes over what others have left, now and from now on. */
		async start(): Promise<void> {
			await store.heartbeat();
			keepWatching();
		},
		/** Lets what is under way finish for up to `grace` milliseconds, then leaves the rest to other nodes. */
		async stop(grace = 3000): Promise<void> {
			draining = true;
			const rest = async () => {
				while (open.size > 0) await Promise.all(open.keys());
			};
			await Promise.race([rest(), pause(grace)]);
			stopping = true;
			await watching;
			await Promise.race([rest(), pause(1000)]);
			await store.release().catch((error) => onError(undefined, "leave", error));
		},
	};
}
export type SagaRunner<S extends Saga, Written = true> = ReturnType<
	typeof createSagaRunner<S, Written>
>;
