import type { Failure } from "./cards.ts";
import { captured, released } from "./charges.ts";
import { rejected } from "./errors.ts";
import type { Charge, EventType, PaymentIntent } from "./objects.ts";
import { assertStatus } from "./payment-intent-rules.ts";

/*
 * The state machine of a PaymentIntent, as pure functions,
 * https://docs.stripe.com/payments/paymentintents/lifecycle. Each returns the changed objects and
 * throws an ApiError with code `payment_intent_unexpected_state` for an illegal transition.
 */

export interface Change {
	readonly intent: PaymentIntent;
	readonly charge?: Charge;
	/** In order. Events of a charge contain the charge, the others the intent. */
	readonly events: readonly EventType[];
	/** Failure of the attempt, which the API reports with status 402. */
	readonly failure?: Failure;
}
export type CancellationReason =
	| "abandoned"
	| "automatic"
	| "duplicate"
	| "fraudulent"
	| "requested_by_customer";

export const CONFIRMABLE = [
	"requires_payment_method",
	"requires_confirmation",
	"requires_action",
] as const;
const CANCELABLE = [...CONFIRMABLE, "requires_capture"] as const;
/** The objects after money has arrived. */
export const succeeded = (intent: PaymentIntent, charge: Charge) => ({
	intent: {
		...intent,
		status: "succeeded",
		amount_received: charge.amount_captured,
		amount_capturable: 0,
		latest_charge: charge.id,
	} satisfies PaymentIntent,
	charge,
});

/** Captures once; the rest of the authorization is released. */
export function capture(intent: PaymentIntent, charge: Charge, amount: number): Change {
	assertStatus(intent, "captured", ["requires_capture"]);
	if (amount > intent.amount_capturable)
		throw rejected(
			`The amount ${amount} exceeds the capturable amount ${intent.amount_capturable}.`,
			{ code: "amount_too_large", param: "amount_to_capture", payment_intent: intent },
		);
	const partial: EventType[] = amount < intent.amount_capturable ? ["charge.refunded"] : [];
	return {
		...succeeded(intent, captured(charge, amount)),
		events: ["charge.captured", ...partial, "payment_intent.succeeded"],
	};
}

/** Cancels an intent and releases its authorization, if it has one. */
export function cancel(
	intent: PaymentIntent,
	charge: Charge | undefined,
	reason: CancellationReason | null,
	now: number,
): Change {
	assertStatus(intent, "canceled", CANCELABLE);
	const canceled: PaymentIntent = {
		...intent,
		status: "canceled",
		canceled_at: now,
		cancellation_reason: reason,
		amount_capturable: 0,
		next_action: null,
	};
	if (!charge || intent.status !== "requires_capture")
		return { intent: canceled, events: ["payment_intent.canceled"] };
	const event = reason === "automatic" ? "charge.expired" : "charge.refunded";
	return {
		intent: canceled,
		charge: released(charge),
		events: [event, "payment_intent.canceled"],
	};
}

/** Cancels an intent whose authorization has ended, or returns undefined. */
export function expire(
	intent: PaymentIntent,
	charge: Charge | undefined,
	now: number,
): Change | undefined {
	const before = charge && captureBefore(charge);
	if (intent.status !== "requires_capture" || before === undefined || now < before)
		return undefined;
	return cancel(intent, charge, "automatic", now);
}

/** End of an authorization in seconds since 1970. */
const captureBefore = ({ payment_method_details: details }: Charge): number | undefined =>
	details?.card?.capture_before;
