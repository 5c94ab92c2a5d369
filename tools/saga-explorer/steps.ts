import { done, type Outcome, pending, refused, waiting } from "../../lib/contracts/outcome.ts";
import type { Fault } from "./faults.ts";

type State = "executed" | "waiting" | "compensated" | "declined" | "dispatched";

/** The step that every third saga does not have. */
const OPTIONAL_STEP = 0;
/** The step that can wait for an external decision. */
const WAITING_STEP = 1;

/** Whether a saga has a step. */
const appliesTo = (index: number, id: string): boolean =>
	index !== OPTIONAL_STEP || Number(id.slice(1)) % 3 > 0;

export interface StepsOptions {
	/**
	 * Deadline of a saga's wait as an RFC 3339 time, null for a wait without one; undefined if it
	 * does not wait.
	 */
	waitOf(id: string): string | null | undefined;
	/** Final state of a saga; undefined while it is running. */
	endOf(id: string): "completed" | "closed" | undefined;
	must(holds: boolean, what: string): void;
	count(what: string): void;
	/** Id of the saga that makes every step throw. */
	readonly poison: string | undefined;
}

/**
 * In-memory services of the saga's steps. Each keeps the state of its step per saga, with
 * tombstones. A dispatched last step can no longer be compensated.
 */
export function stepServices(total: number, { waitOf, endOf, must, count, poison }: StepsOptions) {
	const services = Array.from({ length: total }, () => new Map<string, State>());
	const last = services[total - 1]!;

	function executeOne(index: number, id: string): Outcome {
		const states = services[index]!;
		const state = states.get(id);
		if (state === "compensated") count("refused by a tombstone");
		if (state === "compensated" || state === "declined") return refused(state.toUpperCase());
		if (state && state !== "waiting") return done;
		const deadline = index === WAITING_STEP ? waitOf(id) : undefined;
		if (deadline !== undefined) {
			states.set(id, "waiting");
			return waiting(deadline);
		}
		states.set(id, "executed");
		must(endOf(id) !== "closed", `step ${index} of ${id} was executed after the saga was closed`);
		return done;
	}
	function compensateOne(index: number, id: string): Outcome {
		const states = services[index]!;
		if (states.get(id) === "dispatched") return refused("DISPATCHED");
		states.set(id, "compensated");
		must(
			endOf(id) !== "completed",
			`step ${index} of ${id} was compensated after the saga was completed`,
		);
		return done;
	}
	/** The outcome of each element. Applies the fault to the element that it selects. */
	const each = (index: number, one: typeof executeOne, ids: string[], { kind, pick }: Fault) =>
		ids.map((id, i) => {
			const chosen = i === pick % ids.length;
			const fresh = one === executeOne && !services[index]!.has(id);
			if (chosen && kind === "pending") {
				if (pick % 2) one(index, id);
				return pending;
			}
			if (chosen && fresh && kind === "refused") return refused("NOT_NOW");
			if (chosen && fresh && kind === "declined") services[index]!.set(id, "declined");
			return one(index, id);
		});

	return {
		applies(index: number, id: string): boolean {
			const applies = appliesTo(index, id);
			if (!applies) count("skipped");
			return applies;
		},
		execute(index: number, ids: string[], fault: Fault): Outcome[] {
			must(
				ids.every((id) => appliesTo(index, id)),
				`step ${index} of ${ids} was executed although it does not apply to all`,
			);
			if (poison && ids.includes(poison)) throw new Error("Poison");
			return each(index, executeOne, ids, fault);
		},
		compensate: (index: number, ids: string[], fault: Fault): Outcome[] =>
			each(index, compensateOne, ids, fault),
		/** For each step of a saga, whether it is executed and not compensated. */
		holding: (id: string) =>
			services
				.filter((_, index) => appliesTo(index, id))
				.map((states) => states.get(id))
				.map((state) => state === "executed" || state === "dispatched"),
		/** Decides the wait of a saga. Returns false if it does not wait. */
		decide(id: string, approved: boolean): boolean {
			const states = services[WAITING_STEP]!;
			if (states.get(id) !== "waiting") return false;
			states.set(id, approved ? "executed" : "declined");
			return true;
		},
		/** Makes the last step impossible to compensate, if it is executed. */
		dispatch(id: string): void {
			if (last.get(id) === "executed") last.set(id, "dispatched");
		},
		isDispatched: (id: string) => last.get(id) === "dispatched",
	};
}
