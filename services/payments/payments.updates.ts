import type { EventType } from "../../lib/contracts/contract.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import {
	type Balance,
	balanceOf,
	impliedBy,
	isRefundFailure,
	keyOf,
	type RefundRow,
	reportedBy,
	type Transaction,
} from "./payments.ledger.rules.ts";
import { GUEST, type Payment, type PaymentDetails, type Status } from "./payments.rules.ts";
import { fromUnits, toUnits } from "./payments.units.rules.ts";
import type { ProviderRecord } from "./providers/provider.ts";

/** The row of a payment. */
export interface StoredPayment extends Omit<Payment, "user_id"> {
	/** Null for a tombstone, {@link GUEST} for a guest. */
	readonly user_id: string | null;
	/** Buyer of a tombstone, if the reversal stated it; {@link GUEST} for a guest. */
	readonly buyer_id: string | null;
	readonly decline_reason: string | null;
	readonly reversal: "begun" | "done" | null;
	readonly reference: string | null;
	readonly client_secret: string | null;
	readonly redirect_url: string | null;
}
/** A payment with its refunds and stored transactions, locked until the end of the transaction. */
export interface LockedPayment {
	readonly payment: StoredPayment;
	readonly refunds: readonly RefundRow[];
	readonly stored: readonly Transaction[];
}
/** A refund to request; the amount is in major units. */
export interface RequestedRefund {
	readonly id: string;
	readonly amount: number;
	readonly reason: string | null;
}
/** The changes of a payment that follow from a report of the provider. */
export interface Update {
	/** The row afterwards. */
	readonly payment: StoredPayment;
	readonly isRowChanged: boolean;
	/** New transactions, and implied ones that may not be stored yet. */
	readonly transactions: readonly Transaction[];
	/** A new refund, in major units. */
	readonly refund: RequestedRefund | null;
	readonly events: readonly { readonly type: EventType; readonly event: string }[];
}

/** Reason of a payout whose money arrived after the reversal was complete. */
const LATE = "The payment arrived after the order was cancelled";
const REVERSED = "reversed";

/** All transactions of a payment, by their keys. */
export const ledgerOf = ({ payment, refunds, stored }: LockedPayment): Map<string, Transaction> =>
	new Map([...impliedBy(payment, refunds), ...stored].map((one) => [keyOf(one), one]));

/**
 * Plans the changes of a payment. The result depends on the set of reports so far, not on their
 * order or repetition. A payment that is reversed, or was reported as failed, must not keep money:
 * an amount that is refundable then is paid out.
 * @returns undefined if the report contains nothing new
 */
export function planUpdate(
	locked: LockedPayment,
	report: Partial<ProviderRecord>,
	eventData: HasDurableEvents["eventData"],
	now = new Date().toISOString(),
): Update | undefined {
	const { payment } = locked;
	const ledger = ledgerOf(locked);
	const before = balanceOf(ledger.values());
	const added: Transaction[] = [];
	for (const one of reportedBy(report, payment, now)) {
		if (ledger.has(keyOf(one))) continue;
		ledger.set(keyOf(one), one);
		added.push(one);
	}
	const payout = planPayout(locked, before, ledger);
	if (payout) {
		const request = requestOf(payout, payment, now);
		ledger.set(keyOf(request), request);
	}
	const after = balanceOf(ledger.values());
	const next = nextRow(payment, report, after, added);
	const isRowChanged = differs(payment, next);
	if (!payout && added.length === 0 && !isRowChanged) return undefined;
	return {
		payment: next,
		isRowChanged,
		transactions: [...ledger.values()],
		refund: payout,
		events: [...eventsOf(locked, after, added, eventData)],
	};
}

/** Plans a refund of a payment, whose amount is in major units. */
export function planReservation(
	locked: LockedPayment,
	refund: RequestedRefund,
	now = new Date().toISOString(),
): Update {
	const { payment } = locked;
	const transactions = [...ledgerOf(locked).values(), requestOf(refund, payment, now)];
	const next = nextRow(payment, {}, balanceOf(transactions), []);
	return { payment: next, isRowChanged: true, transactions, refund, events: [] };
}

const differs = (one: StoredPayment, other: StoredPayment): boolean =>
	(Object.keys(other) as (keyof StoredPayment)[]).some((field) => one[field] !== other[field]);

function planPayout(
	locked: LockedPayment,
	before: Balance,
	ledger: ReadonlyMap<string, Transaction>,
): RequestedRefund | null {
	const { id, currency, reversal } = locked.payment;
	const { refundable } = balanceOf(ledger.values());
	const hasFailed = before.status === "declined" || before.status === "voided";
	if (!(reversal || hasFailed) || refundable === 0) return null;
	const amount = fromUnits(refundable, currency);
	const first = firstPayoutOf(locked);
	if (!first) {
		const isLate = reversal === "done" || hasFailed || before.status === "processing";
		return { id, amount, reason: isLate ? LATE : REVERSED };
	}
	// The rest after a payout, for example of a dispute that was won, is paid out as well. A refund
	// that failed is repeated only with a smaller amount: someone has refunded a part at the provider
	// meanwhile. For any other failure, an operator finds out how to pay the buyer.
	const failures = [...ledger.values()].filter(isRefundFailure);
	if (failures.some((failure) => failure.amount <= refundable)) return null;
	return { id: newId(), amount, reason: first.reason };
}
/**
 * The first payout of a payment. Its ID is that of the payment, which no other refund has. The
 * reason does not identify a payout: administrators choose the reasons of their refunds.
 */
const firstPayoutOf = ({ payment, refunds }: LockedPayment): RefundRow | undefined =>
	refunds.find(({ id }) => id === payment.id);

/** The transaction that reserves the amount of a refund. */
const requestOf = (
	{ id: reference, amount, reason }: RequestedRefund,
	{ currency }: StoredPayment,
	at: string,
): Transaction => ({
	type: "refund",
	state: "requested",
	at,
	reference,
	amount: toUnits(amount, currency),
	reason,
});

function nextRow(
	payment: StoredPayment,
	{ result }: Partial<ProviderRecord>,
	after: Balance,
	added: readonly Transaction[],
): StoredPayment {
	const status = statusOf(payment, after);
	const timeOf = (type: Transaction["type"]) =>
		added.find((one) => one.type === type && one.state === "succeeded")?.at ?? null;
	const captured_at = payment.captured_at ?? timeOf("capture");
	const isWaiting = status === "requires_action";
	const secret = result?.status === "requires_action" ? result : undefined;
	const decline = result?.status === "declined" && status === "declined" ? result : undefined;
	return {
		...payment,
		status,
		refunded_amount: refundedAmount(payment, after),
		authorized_at: payment.authorized_at ?? timeOf("authorization") ?? captured_at,
		captured_at,
		voided_at: payment.voided_at ?? (status === "voided" ? timeOf("void") : null),
		reference: payment.reference ?? result?.reference ?? null,
		decline_reason: payment.decline_reason ?? decline?.reason ?? null,
		decline_code: payment.decline_code ?? decline?.code ?? null,
		client_secret: isWaiting ? (payment.client_secret ?? secret?.client_secret ?? null) : null,
		redirect_url: isWaiting ? (payment.redirect_url ?? secret?.redirect_url ?? null) : null,
		expires_at: isWaiting ? payment.expires_at : null,
	};
}

/** Whether a row only rejects a late charge. */
export const isTombstone = ({ user_id }: StoredPayment): boolean => user_id === null;

/** A tombstone keeps its status: it has no amount. */
function statusOf(payment: StoredPayment, after: Balance): Status {
	const { status } = payment;
	if (isTombstone(payment)) return "cancelled";
	return after.status === "none" ? status : after.status;
}

/** At most the amount: an operator may have made the same refund at the provider. */
const refundedAmount = ({ amount, currency }: StoredPayment, { refunded }: Balance): number =>
	Math.min(amount, fromUnits(refunded, currency));

/** Event types of new transactions, each with the amount and the transaction's reason. */
const PUBLISHED: Partial<Record<string, EventType>> = {
	"authorization succeeded": "payment.authorized",
	"capture succeeded": "payment.captured",
	"void succeeded": "payment.voided",
	"refund succeeded": "payment.refunded",
	"refund failed": "payment.refund_failed",
	"refund_failed succeeded": "payment.refund_failed",
	"dispute succeeded": "payment.disputed",
	"dispute_reversed succeeded": "payment.dispute_reversed",
};

/** Events of new transactions. A tombstone only publishes the refund of late money. */
function* eventsOf(
	locked: LockedPayment,
	after: Balance,
	added: readonly Transaction[],
	eventData: HasDurableEvents["eventData"],
): Iterable<Update["events"][number]> {
	const { payment, refunds } = locked;
	const { id: payment_id, order_id, currency, status, user_id } = payment;
	const buyer = user_id ?? payment.buyer_id;
	const recipient = buyer === GUEST ? {} : { user_id: buyer };
	const isLateMoney = firstPayoutOf(locked)?.reason === LATE;
	const isLate = (reference: string) =>
		isLateMoney && buyer !== null && currency !== "" && refunds.some(({ id }) => id === reference);
	const details = ({ amount, reason, reference }: Transaction, type: EventType) => ({
		order_id,
		payment_id,
		amount: fromUnits(amount, currency),
		currency,
		...(type === "payment.refund_failed" ? { reference, reason } : {}),
		...(type === "payment.disputed" ? { reason } : {}),
		...(type === "payment.refunded" && isLate(reference) ? { late: true, ...recipient } : {}),
	});
	for (const transaction of added) {
		const type = PUBLISHED[`${transaction.type} ${transaction.state}`];
		if (!type || (user_id === null && !isLate(transaction.reference))) continue;
		// Only the last of these steps is published.
		if (type === "payment.authorized" && after.status !== "authorized") continue;
		if (type === "payment.voided" && !(after.status === "voided" && isOpen(status))) continue;
		yield { type, event: eventData(type, details(transaction, type) as never) };
	}
	if (user_id === null || after.status === "none" || after.status === status) return;
	if (after.status === "declined") {
		const reason = added.find(({ state }) => state === "failed")?.reason ?? "declined";
		yield { type: "payment.declined", event: eventData("payment.declined", { order_id, reason }) };
	}
	if (isWaiting(status)) {
		const data = { order_id, payment_id, status: after.status };
		yield { type: "payment.updated", event: eventData("payment.updated", data) };
	}
}

/** Whether the buyer or a bank must decide on a payment with this status. */
const isWaiting = (status: Status): boolean =>
	status === "requires_action" || status === "processing";
/** Whether a payment with this status may still be captured. */
export const isOpen = (status: Status): boolean => status === "authorized" || isWaiting(status);

/** A payment with its refunds and stored transactions, as one row. */
export type PaymentRow = StoredPayment & Omit<LockedPayment, "payment">;
/** A payment as its owner sees it. */
export function detailsOf(row: PaymentRow): PaymentDetails {
	const { buyer_id: _, decline_reason: __, reversal: ___, stored, refunds, ...payment } = row;
	const ledger = ledgerOf({ payment: row, refunds, stored });
	return {
		...payment,
		user_id: payment.user_id === GUEST ? null : payment.user_id,
		refunds: [...refunds],
		transactions: [...ledger.values()]
			.map((one) => ({ ...one, amount: fromUnits(one.amount, payment.currency) }))
			.sort((a, b) => a.at.localeCompare(b.at)),
	};
}
