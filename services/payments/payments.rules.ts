import { throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { fitsCurrency } from "../../lib/money/currency.ts";
import { type payment, type paymentSeen, payments } from "./payments.contract.ts";

export type Payment = Infer<typeof payment>;
/** A payment as people see it. */
export type PaymentSeen = Infer<typeof paymentSeen>;
export type Status = Payment["status"];

/** What can happen to a payment, and what becomes of it by where it stands; what is not listed is illegal. */
export const transitions = {
	authorize: { none: "authorized" },
	/** From nothing where the provider authorises and captures in one request. */
	capture: { none: "captured", authorized: "captured" },
	decline: { none: "declined" },
	void: { authorized: "voided" },
	refundPart: { captured: "partially_refunded", partially_refunded: "partially_refunded" },
	refundRest: { captured: "refunded", partially_refunded: "refunded" },
	/** A tombstone: nothing is on record yet, and nothing will be. */
	bar: { none: "cancelled" },
} as const satisfies Record<string, Partial<Record<Status | "none", Status>>>;
export type Transition = keyof typeof transitions;

/** The next status. @throws NOT_REFUNDABLE for an illegal transition */
export function next(status: Status | "none", transition: Transition): Status {
	const to: Partial<Record<Status | "none", Status>> = transitions[transition];
	return to[status] ?? throwError(payments, "NOT_REFUNDABLE", { payment_status: status });
}

/**
 * What undoes a payment. `ask`: nothing is on record, so the provider is to say whether there is anything to void or to refund; a void does
 * that, for it leaves alone what is captured.
 */
export const undoing = {
	authorized: "void",
	captured: "refund",
	partially_refunded: "refund",
	cancelled: "ask",
	declined: "nothing",
	refunded: "nothing",
	voided: "nothing",
} as const satisfies Record<Status, "void" | "refund" | "ask" | "nothing">;

/** @throws VALIDATION_ERROR for an amount with more decimals than its currency has */
export function assertAmount(amount: number, currency: string): void {
	if (!fitsCurrency(amount, currency))
		throw invalidField("amount", "MONEY", `An amount in ${currency} has fewer decimals`);
}

/** Money is added and compared in minor units. */
const cents = (amount: number): number => Math.round(amount * 100);

/** What is not paid back yet, nor on its way. */
export const left = ({
	amount,
	refunded_amount,
}: Pick<Payment, "amount" | "refunded_amount">): number =>
	(cents(amount) - cents(refunded_amount)) / 100;

/**
 * How much a refund pays back, and what the payment is then.
 * @param wish all that is left unless given
 * @throws NOT_REFUNDABLE if that much is not left, or nothing is, or the payment is not captured, or is being reversed
 */
export function planRefund(
	from: Pick<Payment, "status" | "amount" | "refunded_amount"> & { reversal: string | null },
	wish: number = left(from),
): { amount: number; status: Status } {
	const rest = from.reversal || undoing[from.status] !== "refund" ? 0 : left(from);
	if (cents(wish) <= 0 || cents(wish) > cents(rest))
		throwError(payments, "NOT_REFUNDABLE", { left: rest });
	return {
		amount: wish,
		status: next(from.status, cents(wish) === cents(rest) ? "refundRest" : "refundPart"),
	};
}

/** Where an order's payment stands, as far as charging is concerned. */
export interface ChargeState {
	readonly status: Status;
	readonly decline_reason: string | null;
	readonly reversal: string | null;
}
/** What a charge comes to, by what is on record for the order. A refund does not take back that the order was charged; a reversal does. */
export function chargeOutcome(standing: ChargeState | undefined): Outcome {
	if (standing?.reversal) return refused("REVERSED");
	if (!standing || standing.status === "authorized") return pending;
	return standing.status === "declined"
		? refused("PAYMENT_DECLINED", standing.decline_reason ?? undefined)
		: done;
}
