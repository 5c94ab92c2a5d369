import type { Compensation, Saga } from "../../lib/saga/saga.ts";

/** One saga as its store keeps it, beside the status of what it is about. */
export interface Row {
	readonly id: string;
	status: "pending" | "confirmed" | "shipped" | "cancelled";
	state: "forward" | "backward" | "stuck" | null;
	owner: string | null;
	attempt: number;
	/** When its owner took it. */
	since: number;
	reason: string | null;
	readonly deadline: number;
}
export type Move =
	| "completed"
	| "turned"
	| "closed"
	| "aborted"
	| "stuck"
	| "taken back"
	| "claimed";

export interface TableOptions {
	now(): number;
	readonly leaseMs: number;
	/** A row has changed. */
	onMove?(row: Row, move: Move): void;
}

/** What services/orders keeps in Postgres, in memory and at once: the model that both the sagas and the statements are held against. */
export function sagaTable({ now, leaseMs, onMove }: TableOptions) {
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
	/** The row, if the attempt is still the one that owns it. */
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
			};
			rows.set(id, row);
			return sagaOf(row);
		},
		/** Takes one back, out of its run or after it, or once more when it was stuck. */
		takeBack(owner: string, id: string, reason: string): Saga | undefined {
			const row = rows.get(id);
			const running = row?.status === "pending" && row.state === "forward";
			const over = row?.status === "confirmed" && row.state === null;
			if (!row || !(running || over || row.state === "stuck")) return undefined;
			const first = row.state === "stuck" ? row.reason : reason;
			move(row, "taken back", {
				state: "backward",
				owner,
				attempt: row.attempt + 1,
				since: now(),
				reason: first,
			});
			return sagaOf(row);
		},
		/** Leaves one that is stuck to whichever node takes it. */
		retry(id: string): boolean {
			const row = rows.get(id);
			if (row?.state !== "stuck") return false;
			move(row, "taken back", { state: "backward", owner: null, attempt: row.attempt + 1 });
			return true;
		},
		/** What was confirmed moves on, outside any saga. */
		ship(id: string): void {
			const row = rows.get(id);
			if (row?.status === "confirmed" && row.state === null) row.status = "shipped";
		},
		/** The store as one node uses it. */
		as: (owner: string) => ({
			complete: (sagas: Saga[]) =>
				sagas.map((saga) => {
					const row = owned(saga);
					if (row?.state !== "forward" || row.status !== "pending") return false;
					move(row, "completed", { ...end, status: "confirmed" });
					return true;
				}),
			markCompensating: (turned: Compensation<Saga>[]) =>
				turned.map(({ saga, reason }) => {
					const row = owned(saga);
					if (row?.state !== "forward" && row?.state !== "backward") return false;
					move(row, "turned", { state: "backward", reason });
					return true;
				}),
			markCompensated: (turned: Compensation<Saga>[]) =>
				turned.map(({ saga }) => {
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
			markStuck: (turned: Compensation<Saga>[]) =>
				turned.map(({ saga, reason }) => {
					const row = owned(saga);
					if (row?.state !== "backward") return false;
					move(row, "stuck", { state: "stuck", owner: null, reason });
					return true;
				}),
			claim(limit: number, running: string[]): Saga[] {
				const open = ({ id, state }: Row) =>
					(state === "forward" || state === "backward") && !running.includes(id);
				const nobodys = (row: Row) =>
					!alive(row.owner) || (row.owner === owner && now() - row.since > leaseMs);
				const mine = [...rows.values()]
					.filter((row) => open(row) && nobodys(row))
					.sort((a, b) => a.since - b.since);
				return mine.slice(0, limit).map((row) => {
					move(row, "claimed", { owner, attempt: row.attempt + 1, since: now() });
					return sagaOf(row);
				});
			},
			heartbeat: () => void leases.set(owner, now() + leaseMs),
			release: () => void leases.delete(owner),
		}),
	};
}
export type SagaTable = ReturnType<typeof sagaTable>;
