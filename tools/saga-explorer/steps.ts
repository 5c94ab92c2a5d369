import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import type { Fault } from "./world.ts";

type State = "done" | "undone" | "declined" | "dispatched";

export interface StepsOptions {
	/** Whether a saga is at its end, and which. */
	endOf(id: string): "completed" | "closed" | undefined;
	must(holds: boolean, what: string): void;
	count(what: string): void;
	/** The saga that no step can do. */
	readonly poison: string | undefined;
}

/** What the steps of sagas hold, each in a service of its own that keeps tombstones. The last one can be dispatched. */
export function stepServices(total: number, { endOf, must, count, poison }: StepsOptions) {
	const services = Array.from({ length: total }, () => new Map<string, State>());
	const last = services[total - 1]!;

	function doOne(index: number, id: string): Outcome {
		const states = services[index]!;
		const state = states.get(id);
		if (state === "undone") count("refused by a tombstone");
		if (state === "undone" || state === "declined") return refused(state.toUpperCase());
		if (state) return done;
		states.set(id, "done");
		must(endOf(id) !== "closed", `step ${index} of ${id} was done after it was closed`);
		return done;
	}
	function undoOne(index: number, id: string): Outcome {
		const states = services[index]!;
		if (states.get(id) === "dispatched") return refused("DISPATCHED");
		states.set(id, "undone");
		must(endOf(id) !== "completed", `step ${index} of ${id} was undone after it was completed`);
		return done;
	}
	/** Every element's answer, and what goes wrong for one of them. */
	const each = (index: number, one: typeof doOne, ids: string[], { kind, pick }: Fault) =>
		ids.map((id, i) => {
			const chosen = i === pick % ids.length;
			const fresh = one === doOne && !services[index]!.has(id);
			if (chosen && kind === "pending") {
				if (pick % 2) one(index, id);
				return pending;
			}
			if (chosen && fresh && kind === "refused") return refused("NOT_NOW");
			if (chosen && fresh && kind === "declined") services[index]!.set(id, "declined");
			return one(index, id);
		});

	return {
		do(index: number, ids: string[], fault: Fault): Outcome[] {
			if (poison && ids.includes(poison)) throw new Error("Poison");
			return each(index, doOne, ids, fault);
		},
		undo: (index: number, ids: string[], fault: Fault): Outcome[] =>
			each(index, undoOne, ids, fault),
		/** For each step, whether it holds. */
		holding: (id: string) =>
			services
				.map((states) => states.get(id))
				.map((state) => state === "done" || state === "dispatched"),
		/** From now on the way back is barred, if the last step is done. */
		dispatch(id: string): void {
			if (last.get(id) === "done") last.set(id, "dispatched");
		},
		isDispatched: (id: string) => last.get(id) === "dispatched",
	};
}
