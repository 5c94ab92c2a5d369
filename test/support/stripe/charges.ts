import type { Failure, MethodType } from "./cards.ts";
import { METHOD_TYPES } from "./cards.ts";
import type { Charge, PaymentIntent, PaymentMethod, Refund } from "./objects.ts";

/** Pure functions over charges: one charge is one attempt to pay an intent. */

interface NewCharge {
	readonly id: string;
	/** Seconds since 1970. */
	readonly now: number;
	readonly intent: PaymentIntent;
	readonly method: PaymentMethod;
	readonly status: Charge["status"];
	readonly captured: boolean;
	/** End of the authorization in seconds since 1970, for a charge that is captured later. */
	readonly captureBefore?: number;
	readonly failure?: Failure;
}

const NO_ADDRESS = { city: null, country: null, line1: null, line2: null, postal_code: null };

/** Prefix of a charge's id: Stripe uses another one for methods other than cards. */
export const chargePrefix = (type: string) => (type === "card" ? "ch" : "py");

export function newCharge(fields: NewCharge): Charge {
	const { id, now, intent, method, status, captured, failure } = fields;
	return {
		id,
		object: "charge",
		amount: intent.amount,
		amount_captured: captured ? intent.amount : 0,
		amount_refunded: 0,
		application: null,
		application_fee: null,
		application_fee_amount: null,
		balance_transaction: null,
		billing_details: {
			address: { ...NO_ADDRESS, state: null },
			email: null,
			name: null,
			phone: null,
			tax_id: null,
		},
		calculated_statement_descriptor: null,
		captured,
		created: now,
		currency: intent.currency,
		customer: intent.customer,
		description: intent.description,
		disputed: false,
		failure_balance_transaction: null,
		failure_code: failure?.code ?? null,
		failure_message: failure?.message ?? null,
		fraud_details: {},
		livemode: false,
		metadata: intent.metadata,
		on_behalf_of: null,
		outcome: {
			advice_code: null,
			network_advice_code: null,
			network_decline_code: null,
			network_status: failure ? "declined_by_network" : "approved_by_network",
			reason: failure?.declineCode ?? failure?.code ?? null,
			risk_level: "normal",
			seller_message: failure ? failure.message : "Payment complete.",
			type: failure ? "issuer_declined" : "authorized",
		},
		paid: status !== "failed",
		payment_intent: intent.id,
		payment_method: method.id,
		payment_method_details: detailsOf(method, fields.captureBefore),
		receipt_email: intent.receipt_email,
		receipt_number: null,
		receipt_url: null,
		refunded: false,
		review: null,
		shipping: null,
		source: null,
		source_transfer: null,
		statement_descriptor: null,
		statement_descriptor_suffix: null,
		status,
		transfer_data: null,
		transfer_group: null,
	};
}

/** The part of the details that depends on the test method; Stripe's contain many more fields. */
function detailsOf({ type }: PaymentMethod, captureBefore: number | undefined) {
	const { last4 } = METHOD_TYPES[type as MethodType];
	return {
		type,
		[type]: {
			...(type === "card" && { brand: "visa", country: "US", funding: "credit" }),
			...(last4 && { last4 }),
			...(captureBefore !== undefined && { capture_before: captureBefore }),
		},
	} as Charge["payment_method_details"];
}

/** Captures a part of the authorization and releases the rest. */
export const captured = (charge: Charge, amount: number): Charge =>
	withRefunds({ ...charge, captured: true, amount_captured: amount }, []);

/** Releases an authorization that was not captured. Stripe shows it as refunded. */
export const released = (charge: Charge): Charge => ({
	...charge,
	amount_refunded: charge.amount,
	refunded: true,
});

export const settled = (charge: Charge): Charge => ({ ...charge, status: "succeeded" });

export const failed = (charge: Charge, { code, message }: Failure): Charge => ({
	...charge,
	status: "failed",
	paid: false,
	captured: false,
	amount_captured: 0,
	failure_code: code,
	failure_message: message,
});

/** Sum of the refunds that take or took money, in minor units. */
export const refundedSum = (refunds: readonly Refund[]): number =>
	refunds
		.filter(({ status }) => status === "succeeded" || status === "pending")
		.reduce((sum, { amount }) => sum + amount, 0);

/** Amount of a captured charge that can still be refunded, in minor units. */
export const refundable = (charge: Charge, refunds: readonly Refund[]): number =>
	charge.amount_captured - refundedSum(refunds);

/** The charge after a change of its refunds. Its refunded amount includes the released rest. */
export function withRefunds(charge: Charge, refunds: readonly Refund[]): Charge {
	const amount_refunded = charge.amount - charge.amount_captured + refundedSum(refunds);
	return { ...charge, amount_refunded, refunded: amount_refunded === charge.amount };
}
