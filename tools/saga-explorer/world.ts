import type { Scheduler } from "fast-check";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import { createSagaRunner } from "../../lib/saga/runner.ts";
import type { Saga, SagaOutcome } from "../../lib/saga/saga.ts";
import { type Fault, fine } from "./faults.ts";
import { stepServices } from "./steps.ts";
import { type Move, type Row, sagaTable } from "./table.ts";

const outage = () => Object.assign(new Error("No response"), { type: "REQUEST_TIMEOUT" });

const LEASE = 4000;
export const DEADLINE = 6000;
const STEPS = 3;
const MAX_COMPENSATION_ATTEMPTS = 3;

/** Wait of a saga with a deadline, in milliseconds. */
const WAIT = 5000;
export type Wait = "no" | "for a decision" | "until a deadline";

export interface Node {
	readonly name: string;
	readonly runner: {
		run(saga: Saga, first?: Promise<Outcome>): Promise<SagaOutcome>;
		startFirstStep(saga: Saga): Promise<Outcome> | undefined;
		start(): Promise<void>;
		stop(grace?: number): Promise<void>;
	};
	state: "starting" | "up" | "paused" | "dead";
	/** Continuations that wait until the paused node resumes. */
	readonly held: (() => void)[];
}
export interface WorldOptions {
	/** One fault per message, in sending order. Later messages have no fault. */
	readonly faults: readonly Fault[];
	/** Whether the middle step of a saga waits: for a decision, or until a deadline. Repeats. */
	readonly waits?: readonly Wait[];
	/** Id of a saga that makes every step throw. */
	readonly poison?: string | undefined;
	/**
	 * Timers fire in order, no node loses its lease, and the message that starts a saga has no fault.
	 */
	readonly orderly?: boolean;
}

/**
 * A simulated cluster: nodes, a store and steps. The scheduler orders every message and timer.
 * `step` throws when an invariant is violated.
 */
export function sagaWorld(
	scheduler: Scheduler,
	{ faults, waits = [], poison, orderly = false }: WorldOptions,
) {
	let clock = 0;
	let calm = false;
	let messages = 0;
	let placed = 0;
	const violations: string[] = [];
	/** Timers of an orderly run. They fire in order of time, when no message is in flight. */
	const timers: { due: number; ring(): void }[] = [];
	const counts: Record<string, number> = {};
	const count = (what: string) => {
		counts[what] = (counts[what] ?? 0) + 1;
	};
	const must = (holds: boolean, what: string) => {
		if (!holds) violations.push(what);
	};

	/** Changes of each saga's row, in order. */
	const history = new Map<string, string[]>();
	/** Failed compensations by saga. */
	const compensationFailures = new Map<string, number>();
	const table = sagaTable({ now: () => clock, leaseMs: LEASE, deadlineMs: DEADLINE, onMove });
	const services = stepServices(STEPS, { waitOf, endOf, must, count, poison });
	/** Deadlines of waits, from their beginning. */
	const deadlines = new Map<string, string>();

	function waitOf(id: string): string | null | undefined {
		const wait = waits[Number(id.slice(1)) % waits.length] ?? "no";
		if (wait !== "until a deadline") return wait === "no" ? undefined : null;
		if (!deadlines.has(id)) deadlines.set(id, new Date(clock + WAIT).toISOString());
		return deadlines.get(id);
	}

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
			must(
				once && held.every(Boolean),
				`${id} was completed although not every step is executed: ${past}`,
			);
		if (move === "aborted")
			must(held.every(Boolean), `${id} was aborted after a step was compensated: ${past}`);
		if (move === "stuck")
			must(
				(compensationFailures.get(id) ?? 0) >= MAX_COMPENSATION_ATTEMPTS ||
					services.isDispatched(id),
				`${id} became stuck too early: ${past}`,
			);
		if (move !== "closed") return;
		must(
			once && !held.some(Boolean),
			`${id} was closed although a step is still executed: ${past}`,
		);
		const completed = past.findIndex((entry) => entry.startsWith("completed"));
		must(
			completed < 0 || past.slice(completed).some((entry) => entry.startsWith("cancelling")),
			`${id} was closed after completion without a cancellation: ${past}`,
		);
	}

	const hop = (label: string) => scheduler.schedule(Promise.resolve(), label);
	/** Waits until the node runs: not at all, until it resumes, or indefinitely if it is dead. */
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
		if (silent || kind === "unacknowledged") throw outage();
		if (kind === "broken" || kind === "garbled") throw new Error("The message failed");
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
		const storeCall = <A extends unknown[], R>(
			label: string,
			apply: (...args: A) => R,
			sure = false,
		) => {
			return (...args: A) => send(node, `${label} by ${name}`, () => apply(...args), sure);
		};
		const stepCall = (way: "execute" | "compensate", index: number) => async (all: Saga[]) => {
			const ids = all.map(({ id }) => id);
			const countFailures = (of: string[]) => {
				if (way === "compensate")
					for (const id of of)
						compensationFailures.set(id, (compensationFailures.get(id) ?? 0) + 1);
			};
			try {
				const outcomes = await send(node, `${way} ${index} of ${ids} by ${name}`, (fault) =>
					services[way](index, ids, fault),
				);
				countFailures(ids.filter((_, i) => outcomes[i]!.status === "pending"));
				return outcomes;
			} catch (error) {
				countFailures(ids);
				throw error;
			}
		};
		const store = table.as(name);
		const runner = createSagaRunner<Saga>({
			steps: Array.from({ length: STEPS }, (_, i) => ({
				name: `${i}`,
				applies: ({ id }) => services.applies(i, id),
				execute: stepCall("execute", i),
				compensate: stepCall("compensate", i),
			})),
			store: {
				complete: storeCall("complete", store.complete),
				markWaiting: storeCall("markWaiting", store.markWaiting),
				markCompensating: storeCall("markCompensating", store.markCompensating),
				markCompensated: storeCall("markCompensated", store.markCompensated),
				abort: storeCall("abort", store.abort),
				markStuck: storeCall("markStuck", store.markStuck),
				recordFailures: storeCall("recordFailures", store.recordFailures),
				claim: storeCall("claim", store.claim, true),
				heartbeat: storeCall("heartbeat", store.heartbeat, true),
				release: storeCall("release", store.release),
			},
			heartbeatMs: LEASE / 4,
			maxCompensationAttempts: MAX_COMPENSATION_ATTEMPTS,
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
		/** Ends all faults. Timers fire in order from now on. */
		calmDown() {
			calm = true;
		},
		/** Dispatches the last step's shipment, and marks the order as shipped some time later. */
		async dispatch(id: string): Promise<void> {
			await hop(`dispatch of ${id}`);
			services.dispatch(id);
			await hop(`shipping of ${id}`);
			if (services.isDispatched(id)) table.ship(id);
		},
		/** Decides the wait of a saga; the event that resumes it arrives some time later, and again. */
		async decide(id: string, approved: boolean): Promise<void> {
			await hop(`decision on ${id}`);
			if (!services.decide(id, approved)) return;
			count(approved ? "approved" : "rejected");
			for (const times of ["once", "twice"]) {
				await hop(`event about ${id} arrives ${times}`);
				table.resume(id);
			}
		},
		isDispatched: services.isDispatched,
		isQuiet: () => scheduler.count() === 0,
		/** Runs the next scheduled event: a message, or else the next timer. */
		async step(): Promise<void> {
			if (scheduler.count() > 0) await scheduler.waitOne();
			else {
				timers.sort((a, b) => a.due - b.due);
				timers.shift()?.ring();
			}
			// Micro-batches collect calls for one turn of the event loop.
			for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
			if (violations.length > 0) throw new Error(violations.join("; "));
		},
	};
}
export type SagaWorld = ReturnType<typeof sagaWorld>;
