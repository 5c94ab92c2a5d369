import {
	currentTraceparent,
	type Traced,
	traceparentsOf,
} from "../../../lib/context/traceparent.ts";
import type { KeyedRequest } from "../../../lib/idempotency/idempotency.ts";
import type { Database, Queryable, Statement } from "../../../lib/persistence/database.ts";
import type { Compensation, Saga, SagaStore } from "../../../lib/saga/saga.ts";
import type { Order, Status } from "../orders.rules.ts";
import * as statements from "../orders.statements.ts";
import type { OrderSaga } from "./steps.ts";

interface StoreOptions {
	readonly db: Database;
	/** This node, in the orders that it owns. */
	readonly owner: string;
	readonly leaseMs: number;
	readonly deadlineMs: number;
	/** How many bytes of order lines are claimed at once; one order is claimed whatever it has. */
	claimBytes(): number;
	/** The data of an event about this order, checked, as JSON. */
	fact(type: "order.confirmed" | "order.cancelled", order: Order, reason?: string): string;
	/** Facts were committed. */
	told(): void;
}

/** The order rows as the store of their sagas. Each write holds the attempt, so a run that was overtaken changes nothing. */
export function orderStore({
	db,
	owner,
	leaseMs,
	deadlineMs,
	claimBytes,
	fact,
	told,
}: StoreOptions): SagaStore<OrderSaga> {
	const keys = (sagas: readonly Saga[]) => [
		sagas.map(({ id }) => id),
		sagas.map(({ attempt }) => attempt),
	];
	/** For each saga, whether the statement has written it. */
	const write = async (sagas: readonly Saga[], statement: Statement, ...values: unknown[]) => {
		const rows = await db.query<Pick<Saga, "id" | "attempt">>(statement, [
			...keys(sagas),
			...values,
		]);
		const written = new Set(rows.map(({ id, attempt }) => `${id} ${attempt}`));
		return sagas.map(({ id, attempt }) => written.has(`${id} ${attempt}`));
	};
	const parts = (turned: readonly Compensation<OrderSaga>[]) => ({
		sagas: turned.map(({ saga }) => saga),
		reasons: turned.map(({ reason }) => reason),
	});

	/** What was written to the row is now so of the order that travels with the saga, too. */
	const note = (
		sagas: readonly OrderSaga[],
		ours: boolean[],
		change: (saga: OrderSaga, i: number) => Partial<Order>,
	) => {
		sagas.forEach((saga, i) => {
			if (ours[i]) Object.assign(saga.order, change(saga, i));
		});
		told();
		return ours;
	};

	return {
		async complete(sagas) {
			const updated_at = new Date().toISOString();
			const facts = sagas.map(({ order }) => fact("order.confirmed", order));
			const ours = await write(sagas, statements.COMPLETE, facts, updated_at);
			return note(sagas, ours, () => ({ status: "confirmed", updated_at }));
		},
		async markCompensating(turned) {
			const { sagas, reasons } = parts(turned);
			return write(sagas, statements.MARK_COMPENSATING, reasons);
		},
		async markCompensated(turned) {
			const { sagas, reasons } = parts(turned);
			const facts = turned.map(({ saga, reason }) => fact("order.cancelled", saga.order, reason));
			const updated_at = new Date().toISOString();
			const ours = await write(sagas, statements.MARK_COMPENSATED, reasons, facts, updated_at);
			return note(sagas, ours, (_, i) => ({
				status: "cancelled",
				cancellation_reason: reasons[i]!,
				updated_at,
			}));
		},
		abort: (sagas) => write(sagas, statements.ABORT),
		async markStuck(turned) {
			const { sagas, reasons } = parts(turned);
			return write(sagas, statements.MARK_STUCK, reasons);
		},
		async claim(limit, running) {
			const rows = await db.query<statements.SagaRow>(statements.CLAIM, [
				owner,
				limit,
				running,
				leaseMs,
				claimBytes(),
			]);
			return rows.map((row) => toSaga(row, deadlineMs));
		},
		async heartbeat() {
			await db.query(statements.HEARTBEAT, [owner, leaseMs]);
		},
		async release() {
			await db.query(statements.RELEASE, [owner]);
		},
	};
}

/** A saga as it stands in its order's row. */
export function toSaga(row: statements.SagaRow, deadlineMs: number): OrderSaga {
	const {
		saga_state,
		saga_attempt,
		saga_reason,
		payment_token,
		shipping_address,
		traceparent,
		...order
	} = row;
	return {
		id: order.id,
		direction: saga_state === "backward" ? "backward" : "forward",
		attempt: saga_attempt,
		deadline: Date.parse(order.created_at) + deadlineMs,
		...(saga_reason ? { reason: saga_reason } : {}),
		order,
		payment_token,
		shipping_address,
		traceparent,
	};
}

/** A new order, and the request that it answers where that came with an idempotency key. */
export interface NewOrder {
	readonly saga: OrderSaga;
	readonly fact: string;
	readonly request: KeyedRequest | undefined;
}
/** Writes new orders, each with its lines, its saga, its first event and its key. Answers false for those whose key was taken. */
export async function place(
	db: Database,
	owner: string,
	placing: readonly NewOrder[],
): Promise<boolean[]> {
	const all = placing.map(({ saga }) => saga.order);
	const rows = await db.query<{ id: string }>(statements.PLACE, [
		owner,
		all.map(({ id }) => id),
		all.map(({ user_id }) => user_id),
		all.map(({ total_amount }) => total_amount),
		all.map(({ currency }) => currency),
		all.map(({ items }) => JSON.stringify(items)),
		placing.map(({ saga }) => saga.payment_token),
		placing.map(({ saga }) => saga.shipping_address),
		all.map(({ created_at }) => created_at),
		placing.map(({ fact }) => fact),
		placing.map(({ request }) => request?.key),
		placing.map(({ request }) => request?.hash),
		traceparentsOf(placing.map(({ saga }) => saga)),
		placing.map(({ request }) => request?.user_id),
	]);
	const placed = new Set(rows.map(({ id }) => id));
	return all.map(({ id }) => placed.has(id));
}

/** Takes an order back on behalf of a node, which has to run the saga that this answers; undefined if nothing may be taken back now. */
export async function beginCancellation(
	db: Database,
	owner: string,
	id: string,
	reason: string,
	deadlineMs: number,
): Promise<OrderSaga | undefined> {
	const [row] = await db.query<statements.SagaRow>(statements.BEGIN_CANCELLATION, [
		owner,
		id,
		reason,
		currentTraceparent(),
	]);
	return row && toSaga(row, deadlineMs);
}

/** An order with the state of its saga. */
export async function find(
	db: Database,
	id: string,
): Promise<{ order: Order; state: statements.SagaRow["saga_state"]; attempt: number } | undefined> {
	const [row] = await db.query<statements.SagaRow>(statements.FIND, [id]);
	return row && { order: toSaga(row, 0).order, state: row.saga_state, attempt: row.saga_attempt };
}

/**
 * Moves orders that no saga is working on from one status to the next; the others stay as they are.
 * @param traces what made them move, an element for each, where it is not one thing
 */
export const advance = (
	db: Queryable,
	ids: readonly string[],
	from: Status,
	to: Status,
	traces: readonly Traced[] = ids.map(() => ({})),
): Promise<{ id: string }[]> =>
	db.query(statements.ADVANCE, [ids, from, to, `order.${to}`, traceparentsOf(traces)]);

/** Those of the orders that have one of these statuses. */
export const withStatus = (
	db: Queryable,
	ids: readonly string[],
	statuses: readonly Status[],
): Promise<{ id: string }[]> => db.query(statements.WITH_STATUS, [ids, statuses]);

/** Orders that could not be taken back. */
export async function stuck(db: Database, limit: number) {
	const [[all], rows] = await Promise.all([
		db.query<{ count: number }>(statements.COUNT_STUCK),
		db.query<Pick<Order, "id" | "user_id" | "status" | "created_at"> & { reason: string | null }>(
			statements.LIST_STUCK,
			[limit],
		),
	]);
	return { count: all!.count, rows };
}
/** Leaves a stuck order to whichever node takes it; false if it is not stuck. */
export const retry = async (db: Database, id: string): Promise<boolean> =>
	(await db.query(statements.RETRY, [id])).length > 0;

export type OrderOutcome = "open" | "confirmed" | "cancelled" | "unknown";
/** What becomes of orders. */
export async function outcomesOf(db: Database, ids: readonly string[]): Promise<OrderOutcome[]> {
	const rows = await db.query<{ id: string; fate: OrderOutcome }>(statements.OUTCOMES, [ids]);
	const known = new Map(rows.map(({ id, fate }) => [id, fate]));
	return ids.map((id) => known.get(id) ?? "unknown");
}
