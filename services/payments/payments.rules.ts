import { throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { digitsOf, fitsCurrency, fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import {
	type payment,
	type paymentDetails,
	payments,
	type paymentWithRefunds,
} from "./payments.contract.ts";

export type Payment = Infer<typeof payment>;
export type PaymentWithRefunds = Infer<typeof paymentWithRefunds>;
export type PaymentDetails = Infer<typeof paymentDetails>;
export type Status = Payment["status"];

/** The next status by transition and current status. A transition that is not listed is illegal. */
export const transitions = {
	requireAction: { none: "requires_action" },
	process: { none: "processing", requires_action: "processing" },
	authorize: { none: "authorized", requires_action: "authorized", processing: "authorized" },
	/** From `none` if the provider authorizes and captures in one request. */
	capture: {
		none: "captured",
		requires_action: "captured",
		processing: "captured",
		authorized: "captured",
	},
	decline: { none: "declined", requires_action: "declined", processing: "declined" },
	void: { requires_action: "voided", processing: "voided", authorized: "voided" },
	refundPart: { captured: "partially_refunded", partially_refunded: "partially_refunded" },
	refundRest: { captured: "refunded", partially_refunded: "refunded" },
	/** Tombstone: rejects a late charge. */
	block: { none: "cancelled" },
} as const satisfies Record<string, Partial<Record<Status | "none", Status>>>;
export type Transition = keyof typeof transitions;

/** @throws NOT_REFUNDABLE for an illegal transition */
export function nextStatus(status: Status | "none", transition: Transition): Status {
	const targets: Partial<Record<Status | "none", Status>> = transitions[transition];
	return targets[status] ?? throwError(payments, "NOT_REFUNDABLE", { payment_status: status });
}

/**
 * How to reverse a payment by its status. `voidOrRefund`: nothing is recorded, but the provider may
 * have charged the order. It is asked to void, which does not change a captured payment, and the
 * response shows whether a refund is necessary.
 */
export const reversalOf = {
	requires_action: "void",
	processing: "void",
	authorized: "void",
	captured: "refund",
	partially_refunded: "refund",
	disputed: "nothing",
	cancelled: "voidOrRefund",
	declined: "nothing",
	refunded: "nothing",
	voided: "nothing",
} as const satisfies Record<Status, "void" | "refund" | "voidOrRefund" | "nothing">;

/** @throws VALIDATION_ERROR for an amount with more decimals than its currency has */
export function assertDecimals(amount: number, currency: string): void {
	if (!fitsCurrency(amount, currency))
		throw invalidField(
			"amount",
			"MONEY",
			`An amount in ${currency} can have at most ${digitsOf(currency)} decimals`,
		);
}

/** The amount that is neither refunded nor reserved for a refund, computed in minor units. */
export const refundableAmount = ({
	amount,
	refunded_amount,
	currency,
}: Pick<Payment, "amount" | "refunded_amount" | "currency">): number =>
	fromMinorUnits(
		toMinorUnits(amount, currency) - toMinorUnits(refunded_amount, currency),
		currency,
	);

/**
 * The amount of a refund, and the status of the payment afterwards.
 * @param amount defaults to the refundable amount
 * @throws NOT_REFUNDABLE if the amount exceeds the refundable amount, if that is zero, or if the
 * payment is not captured or is being reversed
 */
export function planRefund(
	payment: Pick<Payment, "status" | "amount" | "refunded_amount" | "currency"> & {
		reversal: string | null;
	},
	amount: number = refundableAmount(payment),
): { amount: number; status: Status } {
	const isRefundable = !payment.reversal && reversalOf[payment.status] === "refund";
	const left = isRefundable ? refundableAmount(payment) : 0;
	const minor = toMinorUnits(amount, payment.currency);
	const minorLeft = toMinorUnits(left, payment.currency);
	if (minor <= 0 || minor > minorLeft) throwError(payments, "NOT_REFUNDABLE", { left });
	const isRest = minor === minorLeft;
	return { amount, status: nextStatus(payment.status, isRest ? "refundRest" : "refundPart") };
}

/** The recorded state of a payment. */
export interface ChargeState {
	readonly status: Status;
	readonly decline_reason: string | null;
	readonly reversal: string | null;
}
/** The outcome of a charge. A refunded payment counts as charged, a reversed one does not. */
export function chargeOutcome(payment: ChargeState | undefined): Outcome {
	if (payment?.reversal) return refused("REVERSED");
	if (!payment || payment.status === "authorized") return pending;
	return payment.status === "declined"
		? refused("PAYMENT_DECLINED", payment.decline_reason ?? undefined)
		: done;
}
