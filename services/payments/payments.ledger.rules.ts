import type { Infer } from "../../lib/contracts/schema.ts";
import type { refund, transaction } from "./payments.contract.ts";
import type { Payment, Status } from "./payments.rules.ts";
import { toUnits } from "./payments.units.rules.ts";
import type { ProviderRecord, ProviderResult, ProviderTransaction } from "./providers/provider.ts";

/** An entry of the ledger of a payment. Its amount is in minor units of the payment's currency. */
export type Transaction = Infer<typeof transaction>;
/** A refund as the payments service requests it; the amount is in major units. */
export type RefundRow = Infer<typeof refund>;

/** Sums and status of a set of transactions, in minor units. */
export interface Balance {
	/** Held by the provider, and neither captured nor voided. */
	readonly authorized: number;
	readonly captured: number;
	/** Including refunds that are requested or pending, without those that failed. */
	readonly refunded: number;
	/** Taken back by the payer's bank. */
	readonly disputed: number;
	/** Captured, and neither refunded nor disputed; at least 0. */
	readonly refundable: number;
	/** `none` without transactions. */
	readonly status: Exclude<Status, "cancelled"> | "none";
}

/** Identity of a transaction in the ledger of its payment. */
export const keyOf = ({
	type,
	state,
	reference,
}: Pick<Transaction, "type" | "state" | "reference">) => `${type} ${state} ${reference}`;

/** Whether a transaction states that its refund was not paid. */
export const isRefundFailure = ({ type, state }: Pick<Transaction, "type" | "state">): boolean =>
	type === "refund_failed" ? state === "succeeded" : type === "refund" && state === "failed";

/**
 * The balance of a set of transactions. It depends neither on their order nor on repetitions, so
 * the reports of a provider may arrive late, twice and in any order. For the same reason each
 * status follows from the most advanced transaction: a capture outweighs the authorization before
 * it.
 */
export function balanceOf(transactions: Iterable<Transaction>): Balance {
	const all = new Map<string, Transaction>();
	for (const transaction of transactions) all.set(keyOf(transaction), transaction);
	const has = (type: Transaction["type"], state: Transaction["state"]) =>
		[...all.values()].some((one) => one.type === type && one.state === state);
	const amounts = (type: Transaction["type"], ...states: Transaction["state"][]) => {
		const byReference = new Map<string, number>();
		for (const { type: other, state, reference, amount } of all.values())
			if (other === type && states.includes(state))
				byReference.set(reference, Math.max(amount, byReference.get(reference) ?? 0));
		return byReference;
	};
	const failedRefunds = [...all.values()].filter(isRefundFailure).map(({ reference }) => reference);
	const captured = sum(amounts("capture", "succeeded"));
	const refunded = sum(amounts("refund", "requested", "succeeded"), failedRefunds);
	const disputed = sum(amounts("dispute", "succeeded"), [
		...amounts("dispute_reversed", "succeeded").keys(),
	]);
	const isCaptured = has("capture", "succeeded");
	const isVoided = has("void", "succeeded");
	const status = (): Balance["status"] => {
		if (isCaptured) return capturedStatus({ captured, refunded, disputed });
		if (has("capture", "failed") || has("authorization", "failed")) return "declined";
		if (isVoided) return "voided";
		if (has("authorization", "succeeded")) return "authorized";
		if (has("capture", "requested")) return "processing";
		return has("authorization", "requested") ? "requires_action" : "none";
	};
	return {
		authorized: isCaptured || isVoided ? 0 : sum(amounts("authorization", "succeeded")),
		captured,
		refunded,
		disputed,
		refundable: Math.max(0, captured - refunded - disputed),
		status: status(),
	};
}

function capturedStatus({ captured, refunded, disputed }: Record<string, number>) {
	if (disputed! > 0) return "disputed";
	if (refunded === 0) return "captured";
	return refunded! < captured! ? "partially_refunded" : "refunded";
}

/** Sum of amounts by reference, without those of some references. */
const sum = (amounts: ReadonlyMap<string, number>, without: readonly string[] = []): number =>
	[...amounts].reduce(
		(total, [reference, amount]) => (without.includes(reference) ? total : total + amount),
		0,
	);

/** The state of a payment from which {@link impliedBy} derives transactions. */
export type RecordedPayment = Pick<
	Payment,
	| "order_id"
	| "amount"
	| "currency"
	| "status"
	| "authorized_at"
	| "captured_at"
	| "voided_at"
	| "created_at"
> & { readonly decline_reason: string | null };

const TAKEN: readonly Status[] = ["captured", "partially_refunded", "refunded", "disputed"];
/** Whether the amount of a payment with this status was captured. */
export const isTaken = (status: Status): boolean => TAKEN.includes(status);

/**
 * Transactions that follow from a payment's row and its refunds. A payment that is captured at once
 * has no rows in the ledger, so that its order takes no longer; nor have payments and refunds of
 * earlier versions. They are stored together with the first transaction that is added.
 */
export function impliedBy(payment: RecordedPayment, refunds: readonly RefundRow[]): Transaction[] {
	const { order_id, status, authorized_at, captured_at, voided_at, created_at } = payment;
	const amount = toUnits(payment.amount, payment.currency);
	const all: Transaction[] = [];
	const add = (one: Pick<Transaction, "type" | "at"> & Partial<Transaction>) =>
		all.push({ state: "succeeded", amount, reference: order_id, reason: null, ...one });
	if (status === "requires_action")
		add({ type: "authorization", state: "requested", at: created_at });
	if (status === "processing") add({ type: "capture", state: "requested", at: created_at });
	if (authorized_at && authorized_at !== captured_at)
		add({ type: "authorization", at: authorized_at });
	if (captured_at || isTaken(status)) add({ type: "capture", at: captured_at ?? created_at });
	if (voided_at) add({ type: "void", at: voided_at });
	if (status === "declined")
		add({ type: "capture", state: "failed", at: created_at, reason: payment.decline_reason });
	for (const { id, reason, created_at: at, settled_at, failed_at, ...refund } of refunds) {
		const own = { reference: id, reason, amount: toUnits(refund.amount, payment.currency) };
		add({ ...own, type: "refund", state: "requested", at });
		if (settled_at) add({ ...own, type: "refund", at: settled_at });
		if (failed_at)
			add({ ...own, type: "refund_failed", at: failed_at, reason: refund.failure_reason });
	}
	return all;
}

/** Type and state of the transaction that a provider's result states. */
const STATED = {
	requires_action: ["authorization", "requested"],
	processing: ["capture", "requested"],
	authorized: ["authorization", "succeeded"],
	captured: ["capture", "succeeded"],
	declined: ["capture", "failed"],
	closed: ["void", "succeeded"],
} as const satisfies Record<
	ProviderResult["status"],
	readonly [Transaction["type"], Transaction["state"]]
>;

/**
 * Transactions that a provider reports, in minor units. A payment is authorized, captured and
 * voided once, so these transactions have the order ID as their reference.
 * @param at time of the transaction that the result states
 */
export function reportedBy(
	{ result, transactions = [] }: Partial<ProviderRecord>,
	{ order_id, amount, currency }: Pick<Payment, "order_id" | "amount" | "currency">,
	at: string,
): Transaction[] {
	const all: ProviderTransaction[] = [...transactions];
	if (result) {
		const [type, state] = STATED[result.status];
		const isStated = all.some((one) => one.type === type && one.state === state);
		if (!isStated)
			all.push({
				type,
				state,
				reference: order_id,
				at,
				amount: result.status === "captured" ? result.amount : amount,
				...(result.status === "declined" ? { reason: result.reason } : {}),
			});
	}
	return all.map(({ amount, reason, reference, ...one }) => ({
		...one,
		reference: OF_PAYMENT.includes(one.type) ? order_id : reference,
		amount: toUnits(amount, currency),
		reason: reason ?? null,
	}));
}
const OF_PAYMENT: readonly Transaction["type"][] = ["authorization", "capture", "void"];
