import type { Behavior } from "./cards.ts";
import { refundable } from "./charges.ts";
import { rejected } from "./errors.ts";
import type { Charge, EventType, Refund, RefundStatus } from "./objects.ts";

/** Pure functions over refunds, https://docs.stripe.com/refunds. */

interface NewRefund {
	readonly id: string;
	/** Seconds since 1970. */
	readonly now: number;
	readonly charge: Charge;
	readonly status: "pending" | "succeeded";
	/** Minor units. */
	readonly amount: number;
	readonly metadata: Record<string, string>;
	readonly reason: Refund["reason"];
}

export const newRefund = ({ id, now, charge, status, amount, ...more }: NewRefund): Refund => ({
	id,
	object: "refund",
	amount,
	balance_transaction: null,
	charge: charge.id,
	created: now,
	currency: charge.currency,
	customer: charge.customer,
	customer_account: null,
	payment_intent: charge.payment_intent,
	payment_method: charge.payment_method,
	receipt_number: null,
	source_transfer_reversal: null,
	status,
	transfer_reversal: null,
	...(status === "pending" && { pending_reason: "processing" }),
	...more,
});

/**
 * Amount of a new refund; without `requested`, everything that is left.
 * @throws ApiError if the charge is not captured, is disputed, or has less left
 */
export function refundAmount(
	charge: Charge,
	refunds: readonly Refund[],
	disputed: boolean,
	requested: number | undefined,
): number {
	if (charge.status !== "succeeded" || !charge.captured)
		throw rejected(
			`This PaymentIntent (${charge.payment_intent}) does not have a successful charge to refund.`,
			{ code: "payment_intent_unexpected_state" },
		);
	if (disputed)
		throw rejected(`Charge ${charge.id} has been charged back; cannot issue a refund.`, {
			code: "charge_disputed",
		});
	const left = refundable(charge, refunds);
	if (left === 0)
		throw rejected(`Charge ${charge.id} has already been refunded.`, {
			code: "charge_already_refunded",
		});
	const amount = requested ?? left;
	if (amount > left)
		throw rejected(
			`Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
			{ param: "amount" },
		);
	return amount;
}

/** Status of a new refund by the test card. */
export const initialStatus = (
	behavior: Behavior | undefined,
	fallback: "pending" | "succeeded",
): "pending" | "succeeded" => (behavior?.refunds === "pending" ? "pending" : fallback);

const NEXT: Readonly<Record<RefundStatus, readonly RefundStatus[]>> = {
	pending: ["succeeded", "failed", "canceled"],
	// A bank can return the money of a successful refund, for example if the account is closed.
	succeeded: ["failed"],
	failed: [],
	canceled: [],
};

/** Final status of a pending refund, or the later failure of a successful one. @throws ApiError */
export function resolveRefund(
	refund: Refund,
	status: "succeeded" | "failed" | "canceled",
): { refund: Refund; events: readonly EventType[] } {
	if (!NEXT[refund.status].includes(status))
		throw rejected(`Refund ${refund.id} has status ${refund.status} and cannot become ${status}.`);
	const { pending_reason: _, ...rest } = refund;
	return {
		refund: { ...rest, status, ...(status === "failed" && { failure_reason: "unknown" }) },
		events: status === "failed" ? ["refund.updated", "refund.failed"] : ["refund.updated"],
	};
}
