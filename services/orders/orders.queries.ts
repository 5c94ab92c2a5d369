import { type EventData, throwError } from "../../lib/contracts/contract.ts";
import type { Event } from "../../lib/contracts/event.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import type { Database, Queryable } from "../../lib/persistence/database.ts";
import { isUuid } from "../../lib/persistence/id.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import type {} from "../users/users.contract.ts";
import type { orderSummary } from "./orders.contract.shapes.ts";
import { orders } from "./orders.contract.ts";
import {
	breakdownOf,
	type OrderDetails,
	type StoredOrder,
	toOrder,
} from "./orders.prices.rules.ts";
import type { Refund } from "./orders.refunds.rules.ts";
import {
	assertReadable,
	assertVisible,
	type Caller,
	maySeeAccount,
	type Order,
	type Reader,
} from "./orders.rules.ts";
import * as statements from "./orders.statements.ts";

export interface OrderRecord extends Pick<OrderDetails, "priced"> {
	readonly order: Order;
	readonly refunds: Refund[];
	/** Null if no saga is open. */
	readonly sagaState: statements.SagaRow["saga_state"];
	/** Number of saga runs so far. */
	readonly attempt: number;
}
/** An order with the state of its saga; undefined if it does not exist. */
export async function findOrder(db: Database, id: string): Promise<OrderRecord | undefined> {
	const [row] = await db.query<statements.FoundRow>(statements.FIND, [id]);
	return (
		row && {
			order: toOrder(toStoredOrder(row), row),
			priced: row.priced,
			refunds: row.refunds ?? [],
			sagaState: row.saga_state,
			attempt: row.saga_attempt,
		}
	);
}

/** The order of a row, without its saga and its details. */
export const toStoredOrder = (row: StoredOrder): StoredOrder => ({
	id: row.id,
	user_id: row.user_id,
	email: row.email,
	status: row.status,
	items: row.items,
	total_amount: row.total_amount,
	currency: row.currency,
	cancellation_reason: row.cancellation_reason,
	payment: row.payment,
	created_at: row.created_at,
	updated_at: row.updated_at,
});

/** @throws ORDER_NOT_FOUND also if the order belongs to another user and the caller is no admin */
async function visibleRecord(db: Database, id: string, caller: Caller): Promise<OrderRecord> {
	const record = await findOrder(db, id);
	assertVisible(record?.order, caller);
	return record!;
}
/**
 * An order for a reader; `user_id` is null for a reader with the order's token.
 * @throws UNAUTHENTICATED, ORDER_NOT_FOUND, see `assertReadable`
 */
export async function readableRecord(
	db: Database,
	id: string,
	reader: Reader,
	secrets: readonly string[],
): Promise<OrderRecord> {
	const record = await findOrder(db, id);
	assertReadable(record?.order, reader, secrets);
	if (maySeeAccount(record!.order, reader.user)) return record!;
	return { ...record!, order: { ...record!.order, user_id: null } };
}
/** Returns an order of the caller, or any order to an admin. @throws ORDER_NOT_FOUND otherwise */
export const visibleOrder = async (db: Database, id: string, caller: Caller): Promise<Order> =>
	(await visibleRecord(db, id, caller)).order;

/** Orders by ID, in the order of `ids`, as messages show them. */
export async function summaries(db: Database, ids: string[]): Promise<(OrderSummary | null)[]> {
	const rows = await db.query<statements.OrderRow>(statements.FIND_ALL, [ids]);
	return alignRows(ids, rows.map(toSummary));
}
type OrderSummary = Infer<typeof orderSummary>;
function toSummary(row: statements.OrderRow): OrderSummary {
	const { adjustments, taxes } = breakdownOf(row.priced);
	const { status, cancellation_reason, payment, created_at, updated_at, ...shown } = toOrder(
		toStoredOrder(row),
		row,
	);
	return { ...shown, adjustments, taxes };
}

/** Orders whose compensation failed repeatedly, oldest first, and their total number. */
export async function stuckOrders(db: Database, limit: number) {
	const [[total], rows] = await Promise.all([
		db.query<{ count: number }>(statements.COUNT_STUCK),
		db.query<Pick<Order, "id" | "user_id" | "status" | "created_at"> & { reason: string | null }>(
			statements.LIST_STUCK,
			[limit],
		),
	]);
	return { count: total!.count, rows };
}
/**
 * Makes a stuck order available to the next claim of any node. Returns false if it is not stuck.
 */
export const retryStuckOrder = async (db: Database, id: string): Promise<boolean> =>
	(await db.query(statements.RETRY, [id])).length > 0;
/**
 * The actions `orders.retry` and `orders.retryStuck`.
 * @throws ORDER_NOT_FOUND, ILLEGAL_TRANSITION
 */
export async function retryOrder(db: Database, id: string): Promise<Order> {
	const found = await findOrder(db, id);
	if (!found) throwError(orders, "ORDER_NOT_FOUND");
	if (!(await retryStuckOrder(db, id)))
		throwError(orders, "ILLEGAL_TRANSITION", {}, "The order is not stuck");
	return found.order;
}

export type OrderOutcome = "open" | "confirmed" | "cancelled" | "unknown";
/** Outcomes of orders, in the order of `ids`. */
export async function outcomesOf(db: Database, ids: readonly string[]): Promise<OrderOutcome[]> {
	const rows = await db.query<{ id: string; outcome: OrderOutcome }>(statements.OUTCOMES, [ids]);
	return alignRows(ids, rows).map((row) => row?.outcome ?? "unknown");
}

/** Version tokens of orders, in the order of `ids`; null if an order does not exist. */
export async function versionsOf(db: Database, ids: readonly string[]): Promise<(string | null)[]> {
	const rows = await db.query<{ id: string; version: string }>(statements.VERSIONS, [ids]);
	return alignRows(ids, rows).map((row) => row?.version ?? null);
}

/** IDs of the newest orders with an address of their own. */
export async function findByEmail(db: Database, email: string, limit: number): Promise<string[]> {
	const values = [canonicalEmail(email) ?? email, limit];
	return (await db.query<{ id: string }>(statements.FIND_BY_EMAIL, values)).map(({ id }) => id);
}

/** Whether each customer (see `customerOf`) has an order that is not cancelled. */
export async function haveOrdered(db: Database, customers: readonly string[]): Promise<boolean[]> {
	const rows = await db.query<{ customer: string }>(statements.HAVE_ORDERED, [
		customers.filter(isUuid),
		customers.filter((customer) => !isUuid(customer)),
	]);
	const ordered = new Set(rows.map(({ customer }) => customer));
	return customers.map((customer) => ordered.has(customer));
}

/** Gives the orders of guests to the accounts that have verified their addresses. */
export async function joinGuestOrders(tx: Queryable, events: readonly Event[]): Promise<void> {
	const accounts = events.map(({ data }) => data as EventData<"user.email_verified">);
	await tx.query(statements.JOIN_GUESTS, [
		accounts.map(({ user_id }) => user_id),
		accounts.map(({ email }) => canonicalEmail(email) ?? email),
	]);
}
