import { throwError } from "../../lib/contracts/contract.ts";
import { done, type Outcome, pending, refused, waiting } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	type payment,
	type paymentDetails,
	payments,
	type paymentWithRefunds,
} from "./payments.contract.ts";
import { fromUnits, toUnits } from "./payments.units.rules.ts";

export type Payment = Infer<typeof payment>;
export type PaymentWithRefunds = Infer<typeof paymentWithRefunds>;
export type PaymentDetails = Infer<typeof paymentDetails>;
export type Status = Payment["status"];

/**
 * Stored as the user of a guest's payment (the nil UUID of RFC 9562). Only a tombstone has no user,
 * also for nodes of the previous version.
 */
export const GUEST = "00000000-0000-0000-0000-000000000000";

/**
 * The amount of a refund in minor units.
 * @param refundable in minor units
 * @param amount in major units; defaults to the refundable amount
 * @throws NOT_REFUNDABLE if the amount exceeds the refundable amount, if that is zero, or if the
 * payment is being reversed
 */
export function planRefund(
	{ currency, reversal }: { readonly currency: string; readonly reversal: string | null },
	refundable: number,
	amount?: number,
): number {
	const left = reversal === "begun" ? 0 : refundable;
	const units = amount === undefined ? left : toUnits(amount, currency);
	if (units <= 0 || units > left)
		throwError(
			payments,
			"NOT_REFUNDABLE",
			{ left: fromUnits(left, currency) },
			left > 0 ? undefined : NOTHING_LEFT,
		);
	return units;
}

/** Message if a payment was not captured, or is refunded or being reversed. */
export const NOTHING_LEFT = "The payment has no amount that can be refunded";

/** The recorded state of a payment. The last three fields belong to `requires_action`. */
export interface ChargeState {
	readonly status: Status;
	readonly decline_reason: string | null;
	readonly reversal: string | null;
	readonly expires_at?: string | null;
	readonly client_secret?: string | null;
	readonly redirect_url?: string | null;
}
/** The outcome of a charge. A refunded payment counts as charged, a reversed one does not. */
export function chargeOutcome(payment: ChargeState | undefined): Outcome {
	if (payment?.reversal) return refused("REVERSED");
	switch (payment?.status) {
		case undefined:
		case "authorized":
			return pending;
		case "requires_action":
		case "processing":
			return waitingOutcome(payment.status, payment);
		case "declined":
			return refused("PAYMENT_DECLINED", payment.decline_reason ?? undefined);
		case "voided":
		case "cancelled":
			return refused("REVERSED");
		default:
			return done;
	}
}

function waitingOutcome(
	status: "requires_action" | "processing",
	{ expires_at = null, client_secret, redirect_url }: ChargeState,
): Outcome {
	return waiting(expires_at, {
		status,
		expires_at,
		...(client_secret ? { client_secret } : {}),
		...(redirect_url ? { redirect_url } : {}),
	});
}
