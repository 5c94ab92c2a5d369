import type { Charge, Dispute, PaymentIntent, Refund, StripeEvent } from "./objects.ts";
import type { Violation } from "./violations.ts";
import type { Attempt } from "./webhook-endpoint.ts";

/** Everything that the stand-in has recorded. */
export interface Dump {
	/** Seconds since 1970 on the stand-in's clock. */
	readonly now: number;
	readonly paymentIntents: readonly PaymentIntent[];
	readonly charges: readonly Charge[];
	readonly refunds: readonly Refund[];
	readonly disputes: readonly Dispute[];
	readonly events: readonly StripeEvent[];
	readonly deliveries: readonly Attempt[];
	readonly requests: readonly RequestRecord[];
	readonly violations: readonly Violation[];
}
/** A request to the API, in the order of arrival. */
export interface RequestRecord {
	readonly id: string;
	readonly route: string;
	readonly idempotencyKey: string | null;
	/** Status of the response; undefined if there is none, or none yet. */
	status?: number;
	fault?: string;
	replayed?: true;
}
