import type Stripe from "stripe";

/*
 * Objects of the API, as the SDK types them, with references as ids. `expand.ts` replaces the ids
 * in a response. Amounts are in minor units, times in seconds since 1970.
 */

export type IntentStatus =
	| "requires_payment_method"
	| "requires_confirmation"
	| "requires_action"
	| "processing"
	| "requires_capture"
	| "succeeded"
	| "canceled";
export type CaptureMethod = "automatic" | "automatic_async" | "manual";

export interface PaymentIntent extends Stripe.PaymentIntent {
	readonly status: IntentStatus;
	readonly capture_method: CaptureMethod;
	readonly client_secret: string;
	readonly latest_charge: string | null;
	readonly payment_method: string | null;
}
export interface Charge extends Stripe.Charge {
	readonly status: "pending" | "succeeded" | "failed";
	readonly payment_intent: string;
	readonly payment_method: string;
}
export type RefundStatus = "pending" | "succeeded" | "failed" | "canceled";
export interface Refund extends Stripe.Refund {
	readonly status: RefundStatus;
	readonly charge: string;
	readonly payment_intent: string;
}
export interface Dispute extends Stripe.Dispute {
	readonly charge: string;
	readonly payment_intent: string;
}
export interface PaymentMethod {
	readonly id: string;
	readonly object: "payment_method";
	readonly created: number;
	readonly livemode: false;
	readonly type: string;
	/** Test payment method from which it was created; not part of Stripe's API. */
	readonly token: string;
}
export type StripeObject = PaymentIntent | Charge | Refund | Dispute | PaymentMethod;

export interface StripeEvent {
	readonly id: string;
	readonly object: "event";
	readonly api_version: string;
	readonly created: number;
	readonly data: { readonly object: StripeObject };
	readonly livemode: false;
	/** Number of endpoints to which the event is sent. */
	readonly pending_webhooks: number;
	/** Request that caused the event; null for events that Stripe causes itself. */
	readonly request: { readonly id: string; readonly idempotency_key: string | null } | null;
	readonly type: EventType;
}
export type EventType = Stripe.Event["type"];
