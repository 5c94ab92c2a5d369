import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import type { Statement, Tx } from "../../lib/persistence/database.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import type { RefundRow, Transaction } from "./payments.ledger.rules.ts";
import {
	INSERT_EVENTS,
	INSERT_REFUNDS,
	INSERT_TRANSACTIONS,
	LEDGERS,
	LOCK_PAYMENT,
	LOCK_PAYMENTS,
	TRANSACTION_FIELDS,
	UPDATE_FIELDS,
	UPDATE_PAYMENTS,
	UPDATE_REFUNDS,
} from "./payments.ledger.statements.ts";
import { columns } from "./payments.statements.ts";
import {
	type LockedPayment,
	planUpdate,
	type StoredPayment,
	type Update,
} from "./payments.updates.ts";
import type { ProviderRecord } from "./providers/provider.ts";

/** A report of the provider about the payment of an order: its status, transactions, or both. */
export interface Report extends Partial<ProviderRecord>, Traced {
	readonly order_id: string;
}
type Store = Pick<Dependencies, "db" | "eventData" | "wakeRelay">;

/**
 * Records reports of the provider in the ledgers of payments, in one transaction: new transactions,
 * the state that follows from all of them, the events, and refunds of money that no order needs.
 * Reports may be repeated and arrive in any order. An order without a payment is ignored.
 * @returns the rows afterwards, by order ID
 */
export async function recordReports(
	{ db, eventData, wakeRelay }: Store,
	reports: readonly Report[],
): Promise<Map<string, StoredPayment>> {
	const byOrder = Map.groupBy(reports, ({ order_id }) => order_id);
	if (byOrder.size === 0) return new Map();
	const rows = await db.transaction(async (tx) => {
		const locked = await lockPayments(tx, LOCK_PAYMENTS, [[...byOrder.keys()]]);
		const updates = locked.flatMap((one) => {
			const about = byOrder.get(one.payment.order_id)!;
			const update = planUpdate(one, merge(about), eventData);
			return update ? [{ ...update, traceparent: about[0]!.traceparent }] : [];
		});
		await writeUpdates(tx, updates);
		return new Map([...locked, ...updates].map(({ payment }) => [payment.order_id, payment]));
	});
	wakeRelay();
	return rows;
}

/** All reports about one payment as one: the last status and all transactions. */
const merge = (reports: readonly Report[]): Partial<ProviderRecord> => {
	const result = reports.findLast((report) => report.result)?.result;
	const transactions = reports.flatMap((report) => report.transactions ?? []);
	return { ...(result ? { result } : {}), transactions };
};

/** Locks the payment with an ID and reads its ledger; undefined if there is none. */
export const lockPayment = async (tx: Tx, id: string): Promise<LockedPayment | undefined> =>
	(await lockPayments(tx, LOCK_PAYMENT, [id]))[0];

/** Locks the payment of an order, or its tombstone; undefined if there is none. */
export const lockPaymentOf = async (tx: Tx, orderId: string): Promise<LockedPayment | undefined> =>
	(await lockPayments(tx, LOCK_PAYMENTS, [[orderId]]))[0];

async function lockPayments(
	tx: Tx,
	statement: Statement,
	values: readonly unknown[],
): Promise<LockedPayment[]> {
	const payments = await tx.query<StoredPayment>(statement, values);
	if (payments.length === 0) return [];
	const ledgers = await tx.query<{ id: string; refunds: RefundRow[]; stored: Transaction[] }>(
		LEDGERS,
		[payments.map(({ id }) => id)],
	);
	const byId = new Map(ledgers.map((ledger) => [ledger.id, ledger]));
	return payments.map((payment) => ({ payment, ...byId.get(payment.id)! }));
}

/** Writes the updates of locked payments. */
export async function writeUpdates(tx: Tx, updates: readonly (Update & Traced)[]): Promise<void> {
	if (updates.length === 0) return;
	const rows = updates.flatMap(({ payment, isRowChanged }) => (isRowChanged ? [payment] : []));
	const transactions = updates.flatMap(({ payment: { id: payment_id }, transactions }) =>
		transactions.map((transaction) => ({ ...transaction, payment_id })),
	);
	const refunds = updates.flatMap(({ payment: { id: payment_id }, refund }) =>
		refund ? [{ ...refund, payment_id }] : [],
	);
	const events = updates.flatMap(({ payment: { order_id }, traceparent, events }) =>
		events.map((event) => ({ ...event, order_id, traceparent })),
	);
	await tx.query(INSERT_TRANSACTIONS, columns(transactions, TRANSACTION_FIELDS));
	if (rows.length > 0) await tx.query(UPDATE_PAYMENTS, columns(rows, UPDATE_FIELDS));
	if (refunds.length > 0)
		await tx.query(INSERT_REFUNDS, columns(refunds, ["id", "payment_id", "amount", "reason"]));
	await tx.query(UPDATE_REFUNDS, [updates.map(({ payment }) => payment.id)]);
	if (events.length > 0)
		await tx.query(INSERT_EVENTS, [
			...columns(events, ["type", "order_id", "event"]),
			traceparentsOf(events),
		]);
}
