import type { Scheduler } from "fast-check";
import { createSagaRunner, type Saga, type SagaOutcome } from "../../lib/saga/saga.ts";
import { stepServices } from "./steps.ts";
import { type Move, type Row, sagaTable } from "./table.ts";

/** What goes wrong with one message, to the store or to a step, and how often. */
export const faultKinds = {
	fine: 12,
	/** It never arrives. */
	lost: 1,
	/** It arrives after its sender has given up. */
	late: 2,
	/** It takes effect, and the answer is lost. */
	unanswered: 1,
	/** It takes effect, and once more at any later moment. */
	twice: 2,
	/** It fails as a whole, without effect or with one. */
	broken: 1,
	garbled: 1,
	/** One element is answered `pending`, with an effect or without. */
	pending: 1,
	/** One element is refused: this time, perhaps not when the message arrives again, or from now on. */
	refused: 2,
	declined: 1,
} as const;
export interface Fault {
	readonly kind: keyof typeof faultKinds;
	/** Chooses among the message's elements. */
	readonly pick: number;
}
const fine: Fault = { kind: "fine", pick: 0 };
const outage = () => Object.assign(new Error("No answer"), { type: "REQUEST_TIMEOUT" });

export const LEASE = 4000;
export const DEADLINE = 6000;
const STEPS = 3;
const UNDO_TRIES = 3;

export interface Node {
	readonly name: string;
	readonly runner: {
		run(saga: Saga): Promise<SagaOutcome>;
		start(): Promise<void>;
		stop(grace?: number): Promise<void>;
	};
	state: "starting" | "up" | "paused" | "dead";
	/** What waits for the node to go on. */
	readonly held: (() => void)[];
}
export interface WorldOptions {
	/** One for each message, in the order that they are sent; then nothing goes wrong any more. */
	readonly faults: readonly Fault[];
	/** A saga that no step can do. */
	readonly poison?: string | undefined;
	/** Time passes evenly, no node loses its lease, and what is begun is begun for certain. */
	readonly orderly?: boolean;
}

/** Nodes, a store and steps, with every message and every timer in the hands of the scheduler. A promise that is broken throws out of `step`. */
export function sagaWorld(scheduler: Scheduler, { faults, poison, orderly = false }: WorldOptions) {
	let clock = 0;
	let calm = false;
	let messages = 0;
	let placed = 0;
	const broken: string[] = [];
	/** Timers while time passes evenly: they go off one after the other, and only when nothing else happens. */
	const timers: { due: number; ring(): void }[] = [];
	const counts: Record<string, number> = {};
	const count = (what: string) => {
		counts[what] = (counts[what] ?? 0) + 1;
	};
	const must = (holds: boolean, what: string) => {
		if (!holds) broken.push(what);
	};

	/** What happened to each saga's row, in order, and how often its undo went wrong. */
	const history = new Map<string, string[]>();
	const undoTroubles = new Map<string, number>();
	const table = sagaTable({ now: () => clock, leaseMs: LEASE, onMove });
	const services = stepServices(STEPS, { endOf, must, count, poison });

	function endOf(id: string) {
		const row = table.rows.get(id);
		if (!row || row.state) return undefined;
		return row.status === "cancelled" ? "closed" : "completed";
	}
	function onMove({ id, attempt }: Row, move: Move): void {
		const past = history.get(id) ?? [];
		history.set(id, past);
		past.push(`${move} ${attempt}`);
		count(move);
		const held = services.holding(id);
		const once = past.filter((entry) => entry.startsWith(move)).length === 1;
		if (move === "completed")
			must(once && held.every(Boolean), `${id} was completed without holding every step: ${past}`);
		if (move === "aborted")
			must(held.every(Boolean), `${id} was aborted after something was undone: ${past}`);
		if (move === "stuck")
			must(
				(undoTroubles.get(id) ?? 0) >= UNDO_TRIES || services.isDispatched(id),
				`${id} was stuck for no reason: ${past}`,
			);
		if (move !== "closed") return;
		must(once && !held.some(Boolean), `${id} was closed while a step holds: ${past}`);
		const completed = past.findIndex((entry) => entry.startsWith("completed"));
		must(
			completed < 0 || past.slice(completed).some((entry) => entry.startsWith("taken back")),
			`${id} was closed by itself: ${past}`,
		);
	}

	const hop = (label: string) => scheduler.schedule(Promise.resolve(), label);
	/** Goes on when the node does: at once, when it is resumed, or never. */
	const awake = (node: Node) =>
		node.state === "starting" || node.state === "up"
			? undefined
			: new Promise<void>((resolve) => node.held.push(resolve));

	async function send<R>(
		node: Node,
		label: string,
		apply: (fault: Fault) => R,
		sure = false,
	): Promise<R> {
		const fault = calm || (orderly && sure) ? fine : (faults[messages++] ?? fine);
		const { kind } = fault;
		if (kind !== "fine") count(kind);
		const arrive = async (what: string, how: Fault) => {
			await hop(`${label} ${what}`);
			return apply(how);
		};
		const silent = kind === "lost" || kind === "late";
		if (kind === "late") arrive("arrives late", fine).catch(() => {});
		const result = silent || kind === "broken" ? undefined : await arrive("arrives", fault);
		if (kind === "twice" || (kind === "refused" && fault.pick % 2))
			arrive("arrives again", fine).catch(() => {});
		await hop(`${label} is over`);
		await awake(node);
		if (silent || kind === "unanswered") throw outage();
		if (kind === "broken" || kind === "garbled") throw new Error("It failed as a whole");
		return result as R;
	}

	async function pause(node: Node, milliseconds: number): Promise<void> {
		const due = clock + milliseconds;
		if (calm || orderly) await new Promise<void>((ring) => timers.push({ due, ring }));
		else await hop(`${milliseconds} ms pass for ${node.name}`);
		clock = Math.max(clock, due);
		await awake(node);
	}

	function makeNode(name: string): Node {
		const tell = <A extends unknown[], R>(
			label: string,
			apply: (...args: A) => R,
			sure = false,
		) => {
			return (...args: A) => send(node, `${label} by ${name}`, () => apply(...args), sure);
		};
		const ask = (way: "do" | "undo", index: number) => async (all: Saga[]) => {
			const ids = all.map(({ id }) => id);
			const troubled = (of: string[]) => {
				if (way === "undo")
					for (const id of of) undoTroubles.set(id, (undoTroubles.get(id) ?? 0) + 1);
			};
			try {
				const outcomes = await send(node, `${way} ${index} of ${ids} by ${name}`, (fault) =>
					services[way](index, ids, fault),
				);
				troubled(ids.filter((_, i) => outcomes[i]!.status === "pending"));
				return outcomes;
			} catch (error) {
				troubled(ids);
				throw error;
			}
		};
		const store = table.as(name);
		const runner = createSagaRunner<Saga>({
			steps: Array.from({ length: STEPS }, (_, i) => ({
				name: `${i}`,
				execute: ask("do", i),
				compensate: ask("undo", i),
			})),
			store: {
				complete: tell("complete", store.complete),
				markCompensating: tell("markCompensating", store.markCompensating),
				markCompensated: tell("markCompensated", store.markCompensated),
				abort: tell("abort", store.abort),
				markStuck: tell("markStuck", store.markStuck),
				claim: tell("claim", store.claim, true),
				heartbeat: tell("heartbeat", store.heartbeat, true),
				release: tell("release", store.release),
			},
			heartbeatMs: LEASE / 4,
			maxCompensationAttempts: UNDO_TRIES,
			backoff: (repetition) => 500 * 2 ** repetition,
			now: () => clock,
			pause: (milliseconds) => pause(node, milliseconds),
			onError: (saga) => count(saga && saga.id === poison ? "troubled by poison" : "troubled"),
		});
		const node: Node = { name, runner, state: "starting", held: [] };
		return node;
	}

	return {
		table,
		history,
		counts,
		count,
		must,
		makeNode,
		send,
		now: () => clock,
		newId: () => `s${++placed}`,
		sleep(milliseconds: number) {
			clock += milliseconds;
		},
		/** From now on nothing goes wrong, and time passes evenly. */
		calmDown() {
			calm = true;
		},
		/** Somebody lets go what the last step holds, and notes it some time later. */
		async dispatch(id: string): Promise<void> {
			await hop(`dispatch of ${id}`);
			services.dispatch(id);
			await hop(`note of the dispatch of ${id}`);
			if (services.isDispatched(id)) table.ship(id);
		},
		isDispatched: services.isDispatched,
		isQuiet: () => scheduler.count() === 0,
		/** The next thing happens. */
		async step(): Promise<void> {
			if (scheduler.count() > 0) await scheduler.waitOne();
			else {
				timers.sort((a, b) => a.due - b.due);
				timers.shift()?.ring();
			}
			// Batches gather for a turn of the event loop.
			for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
			if (broken.length > 0) throw new Error(broken.join("; "));
		},
	};
}
export type SagaWorld = ReturnType<typeof sagaWorld>;
