import { batch } from "./batch.ts";
import type { Outcome } from "./outcome.ts";

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
/** One step with its way back, side by side. Both are set-based and idempotent, and undoing what never happened leaves a tombstone. */
export interface Step<S extends Saga> {
	readonly name: string;
	do(sagas: S[]): Promise<Outcome[]>;
	undo(sagas: S[]): Promise<Outcome[]>;
}
/** Where sagas are kept. Each write answers per saga whether it was still ours: same attempt, still open. */
export interface SagaStore<S extends Saga> {
	/** Every step holds. */
	complete(sagas: S[]): Promise<boolean[]>;
	/** From now on only back. */
	turn(sagas: Turned<S>[]): Promise<boolean[]>;
	/** Nothing is held any more. */
	close(sagas: Turned<S>[]): Promise<boolean[]>;
	/** The way back is barred by something that happened first: as if it had never been asked for. */
	abort(sagas: S[]): Promise<boolean[]>;
	/** Going back failed too often: left alone until somebody retries it. */
	stall(sagas: Turned<S>[]): Promise<boolean[]>;
	/** Takes over what nodes that fell silent have left open. */
	claim(limit: number): Promise<S[]>;
	/** This node is alive: what it runs stays its own for another while. */
	beat(): Promise<void>;
	/** This node runs nothing any more. */
	leave(): Promise<void>;
}
export interface Turned<S extends Saga> {
	readonly saga: S;
	readonly reason: string;
	readonly detail?: string;
}
/** How a run ended. `lost`: another run has taken the saga over, and its end counts. */
export type End =
	| { readonly status: "completed" | "lost" }
	| { readonly status: "closed" | "stuck"; readonly reason: string; readonly detail?: string }
	| { readonly status: "aborted"; readonly reason: string };

export interface SagaOptions<S extends Saga> {
	readonly steps: readonly Step<S>[];
	readonly store: SagaStore<S>;
	/** Milliseconds between two signs of life; a third of the lease at most. */
	readonly beatEvery: number;
	/** How often a failing undo is tried before the saga is stuck. */
	readonly undoTries?: number;
	/** Milliseconds before the given repetition (0, 1, …). */
	backoff?(repetition: number): number;
	now?(): number;
	pause?(milliseconds: number): Promise<void>;
	onTrouble(saga: S | undefined, where: string, error: unknown): void;
}

const CLAIM_LIMIT = 200;
const doubling = (repetition: number) => Math.min(50 * 2 ** repetition, 5000);
const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());

/**
 * Runs sagas: forward through their steps, and back through all that may have happened when a step says no. Sagas that reach the same
 * step together travel together. A failure that says nothing (a timeout, a node that died) is tried again, since do and undo are idempotent.
 */
export function sagas<S extends Saga>(options: SagaOptions<S>) {
	const { steps, store, onTrouble, undoTries = 30, backoff = doubling, now = Date.now, pause = sleep } = options;
	const lanes = steps.map((step) => ({
		do: batch<S, Outcome>((all) => step.do(all)),
		undo: batch<S, Outcome>((all) => step.undo(all)),
	}));
	const complete = batch<S, boolean>((all) => store.complete(all));
	const turn = batch<Turned<S>, boolean>((all) => store.turn(all));
	const close = batch<Turned<S>, boolean>((all) => store.close(all));
	const open = new Set<Promise<End>>();
	let draining = false;
	let stopping = false;

	/** Repeats what says nothing; gives up when `expired` says so, and answers undefined then. */
	async function insist<R>(
		saga: S,
		where: string,
		attempt: () => Promise<R | undefined>,
		expired: (tries: number) => boolean,
	): Promise<R | undefined> {
		for (let tries = 0; ; tries++) {
			try {
				const result = await attempt();
				if (result !== undefined) return result;
			} catch (error) {
				onTrouble(saga, where, error);
			}
			if (expired(tries + 1)) return undefined;
			await pause(backoff(tries));
		}
	}
	const settled = async (outcome: Promise<Outcome>) => {
		const answer = await outcome;
		return answer.status === "pending" ? undefined : answer;
	};
	const forever = () => stopping;
	/** Our own store is asked until it answers: whether the saga is still ours must be known. */
	const write = async (saga: S, where: string, ask: () => Promise<boolean | undefined>) =>
		(await insist(saga, where, ask, forever)) ?? false;

	async function forward(saga: S): Promise<End> {
		const late = () => stopping || now() >= saga.deadline;
		for (const [index, step] of steps.entries()) {
			const outcome = await insist(saga, step.name, () => settled(lanes[index]!.do(saga)), late);
			if (outcome?.status === "done") continue;
			if (!outcome && stopping && now() < saga.deadline) return { status: "lost" };
			// A refused step holds nothing. One that never answered may hold something, and so may steps that another run of this saga reached.
			const held = saga.attempt > 1 ? steps.length : outcome ? index : index + 1;
			return giveUp({ saga, reason: outcome?.code ?? "TIMED_OUT", ...(outcome?.detail ? { detail: outcome.detail } : {}) }, held);
		}
		return { status: (await write(saga, "complete", () => complete(saga))) ? "completed" : "lost" };
	}

	async function giveUp(turned: Turned<S>, held: number): Promise<End> {
		// The decision is on record before anything is undone: nobody who takes over may go forward again.
		if (held > 0 && !(await write(turned.saga, "turn", () => turn(turned)))) return { status: "lost" };
		return backward(turned, held);
	}

	async function backward(turned: Turned<S>, held: number): Promise<End> {
		const { saga, reason, detail } = turned;
		for (let index = held - 1; index >= 0; index--) {
			const exhausted = (tries: number) => stopping || tries >= undoTries;
			const outcome = await insist(saga, `undo ${steps[index]!.name}`, () => settled(lanes[index]!.undo(saga)), exhausted);
			if (outcome?.status === "done") continue;
			if (!outcome && stopping) return { status: "lost" };
			// The last step comes undone first; when it refuses, nothing has been undone yet.
			if (outcome && index === steps.length - 1) {
				const ours = await write(saga, "abort", async () => (await store.abort([saga]))[0]);
				return ours ? { status: "aborted", reason: outcome.code ?? "REFUSED" } : { status: "lost" };
			}
			await write(saga, "stall", async () => (await store.stall([turned]))[0]);
			return { status: "stuck", reason };
		}
		if (!(await write(saga, "close", () => close(turned)))) return { status: "lost" };
		return { status: "closed", reason, ...(detail ? { detail } : {}) };
	}

	/** Runs one saga that this node owns to its end. Never rejects. */
	function run(saga: S): Promise<End> {
		const work = saga.direction === "forward" ? forward(saga) : backward({ saga, reason: saga.reason ?? "CANCELLED" }, steps.length);
		const tracked = work.catch((error): End => {
			onTrouble(saga, "run", error);
			return { status: "lost" };
		});
		open.add(tracked);
		tracked.finally(() => open.delete(tracked));
		return tracked;
	}

	async function watch(): Promise<void> {
		try {
			await store.beat();
			if (!draining) for (const saga of await store.claim(CLAIM_LIMIT)) run(saga);
		} catch (error) {
			onTrouble(undefined, "claim", error);
		}
	}

	let timer: NodeJS.Timeout | undefined;
	let watching: Promise<void> = Promise.resolve();
	return {
		run,
		/** Signs in and takes over what others have left, now and from now on. */
		async start(): Promise<void> {
			await store.beat();
			const again = () => {
				watching = watch().then(() => {
					if (!stopping) timer = setTimeout(again, options.beatEvery);
				});
			};
			again();
		},
		/** Takes over at once what is open and nobody's, a saga that somebody wants retried for instance. */
		wake: watch,
		/** Lets what is under way finish for up to `grace` milliseconds, then leaves the rest to other nodes. */
		async stop(grace = 3000): Promise<void> {
			draining = true;
			const rest = async () => {
				while (open.size > 0) await Promise.all(open);
			};
			await Promise.race([rest(), sleep(grace)]);
			stopping = true;
			clearTimeout(timer);
			await watching;
			await Promise.race([rest(), sleep(1000)]);
			await store.leave();
		},
	};
}
export type SagaRunner<S extends Saga> = ReturnType<typeof sagas<S>>;
