import type { Compensation, Saga, StepFailure, Wait } from "../../lib/saga/saga.ts";

/** A row of the store: a saga, and the status of its order. */
export interface Row {
	readonly id: string;
	status: "pending" | "confirmed" | "shipped" | "cancelled";
	state: "forward" | "waiting" | "backward" | "stuck" | null;
	owner: string | null;
	attempt: number;
	/** Time at which the owner claimed it. */
	since: number;
	reason: string | null;
	deadline: number;
	/**
	 * Time at which a parked saga is due; in a running saga, the mark of an event that resumes it.
	 */
	wakeAt: number | null;
	/** Recorded failures of its steps, as `ATTEMPT STEP TRIES`, oldest first. */
	failures: readonly string[];
}
export type Move =
	| "completed"
	| "waiting"
	| "resumed"
	| "compensating"
	| "closed"
	| "aborted"
	| "stuck"
	| "cancelling"
	| "claimed";

interface TableOptions {
	now(): number;
	readonly leaseMs: number;
	/** Time limit of a resumed saga. */
	readonly deadlineMs: number;
	/** Called after each change of a row. */
	onMove?(row: Row, move: Move): void;
}

/**
 * The saga store of services/orders in memory, where each change is immediate. It is the model for
 * tests of both the saga runner and the SQL statements.
 */
export function sagaTable({ now, leaseMs, deadlineMs, onMove }: TableOptions) {
	const rows = new Map<string, Row>();
	const leases = new Map<string, number>();
	const alive = (owner: string | null) => owner !== null && (leases.get(owner) ?? 0) > now();
	const move = (row: Row, name: Move, change: Partial<Row>) => {
		Object.assign(row, change);
		onMove?.(row, name);
	};
	const sagaOf = ({ id, state, attempt, deadline, reason }: Row): Saga => ({
		id,
		direction: state === "backward" ? "backward" : "forward",
		attempt,
		deadline,
		...(reason ? { reason } : {}),
	});
	/** The row, unless a later attempt has superseded this one. */
	const owned = ({ id, attempt }: Saga) => {
		const row = rows.get(id);
		return row?.attempt === attempt ? row : undefined;
	};
	const end = { state: null, owner: null, reason: null } as const;

	return {
		rows,
		place(owner: string, { id, deadline }: Pick<Saga, "id" | "deadline">): Saga {
			const row: Row = {
				id,
				status: "pending",
				state: "forward",
				owner,
				attempt: 1,
				since: now(),
				reason: null,
				deadline,
				wakeAt: null,
				failures: [],
			};
			rows.set(id, row);
			return sagaOf(row);
		},
		/** Resumes a parked saga, or marks a running one, which may be about to park. */
		resume(id: string): void {
			const row = rows.get(id);
			if (row?.state === "forward") row.wakeAt = now();
			if (row?.state !== "waiting") return;
			move(row, "resumed", {
				state: "forward",
				owner: null,
				attempt: row.attempt + 1,
				since: now(),
				deadline: now() + deadlineMs,
				wakeAt: null,
			});
		},
		/** Starts the compensation of a running, parked, completed or stuck saga. */
		beginCancellation(owner: string, id: string, reason: string): Saga | undefined {
			const row = rows.get(id);
			const running =
				row?.status === "pending" && (row.state === "forward" || row.state === "waiting");
			const over = row?.status === "confirmed" && row.state === null;
			if (!row || !(running || over || row.state === "stuck")) return undefined;
			const first = row.state === "stuck" ? row.reason : reason;
			move(row, "cancelling", {
				state: "backward",
				owner,
				attempt: row.attempt + 1,
				since: now(),
				reason: first,
				wakeAt: null,
			});
			return sagaOf(row);
		},
		/** Makes a stuck saga claimable by any node. */
		retry(id: string): boolean {
			const row = rows.get(id);
			if (row?.state !== "stuck") return false;
			move(row, "cancelling", { state: "backward", owner: null, attempt: row.attempt + 1 });
			return true;
		},
		/** Marks a confirmed order as shipped. No saga is involved. */
		ship(id: string): void {
			const row = rows.get(id);
			if (row?.status === "confirmed" && row.state === null) row.status = "shipped";
		},
		/** The saga store of one node. */
		as: (owner: string) => ({
			complete: (sagas: Saga[]) =>
				sagas.map((saga) => {
					const row = owned(saga);
					if (row?.state !== "forward" || row.status !== "pending") return false;
					move(row, "completed", { ...end, status: "confirmed" });
					return true;
				}),
			markWaiting: (waits: Wait<Saga>[]) =>
				waits.map(({ saga, until }) => {
					const row = owned(saga);
					if (row?.state !== "forward") return false;
					const wakeAt = row.wakeAt ?? until ?? null;
					move(row, "waiting", { state: "waiting", owner: null, wakeAt });
					return true;
				}),
			markCompensating: (compensations: Compensation<Saga>[]) =>
				compensations.map(({ saga, reason }) => {
					const row = owned(saga);
					if (row?.state !== "forward" && row?.state !== "backward") return false;
					move(row, "compensating", { state: "backward", reason });
					return true;
				}),
			markCompensated: (compensations: Compensation<Saga>[]) =>
				compensations.map(({ saga }) => {
					const row = owned(saga);
					if (row?.state !== "backward") return false;
					move(row, "closed", { ...end, status: "cancelled" });
					return true;
				}),
			abort: (sagas: Saga[]) =>
				sagas.map((saga) => {
					const row = owned(saga);
					if (row?.state !== "backward" || row.status !== "confirmed") return false;
					move(row, "aborted", end);
					return true;
				}),
			markStuck: (compensations: Compensation<Saga>[]) =>
				compensations.map(({ saga, reason }) => {
					const row = owned(saga);
					if (row?.state !== "backward") return false;
					move(row, "stuck", { state: "stuck", owner: null, reason });
					return true;
				}),
			recordFailures: (failures: StepFailure<Saga>[]) =>
				failures.map(({ saga, step, tries }) => {
					const row = owned(saga);
					const failure = `${saga.attempt} ${step} ${tries}`;
					if (row && !row.failures.includes(failure)) row.failures = [...row.failures, failure];
					return row !== undefined;
				}),
			claim(limit: number, running: string[]): Saga[] {
				const open = ({ id, state }: Row) =>
					(state === "forward" || state === "backward") && !running.includes(id);
				const isAbandoned = (row: Row) =>
					!alive(row.owner) || (row.owner === owner && now() - row.since > leaseMs);
				const claimable = [...rows.values()]
					.filter((row) => open(row) && isAbandoned(row))
					.sort((a, b) => a.since - b.since);
				const due = [...rows.values()]
					.filter(
						({ id, state, wakeAt }) =>
							state === "waiting" && wakeAt !== null && wakeAt <= now() && !running.includes(id),
					)
					.sort((a, b) => a.wakeAt! - b.wakeAt!);
				return [...claimable.slice(0, limit), ...due.slice(0, limit)].map((row) => {
					const resumed = row.state === "waiting";
					move(row, resumed ? "resumed" : "claimed", {
						owner,
						attempt: row.attempt + 1,
						since: now(),
						wakeAt: null,
						...(resumed ? { state: "forward", deadline: now() + deadlineMs } : {}),
					});
					return sagaOf(row);
				});
			},
			heartbeat: () => void leases.set(owner, now() + leaseMs),
			release: () => void leases.delete(owner),
		}),
	};
}
