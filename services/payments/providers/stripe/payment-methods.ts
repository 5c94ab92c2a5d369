import type Stripe from "stripe";

type Options = Stripe.PaymentIntentConfirmParams.PaymentMethodOptions;

/**
 * Types of payment methods that are authorized first and captured later. Others, such as iDEAL and
 * debits (SEPA, ACH, Bacs), are captured when the buyer or the bank confirms them:
 * https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
 */
const MANUAL: ReadonlySet<string> = new Set<keyof Options>([
	"affirm",
	"afterpay_clearpay",
	"amazon_pay",
	"card",
	"cashapp",
	"klarna",
	"link",
	"mobilepay",
	"paypal",
	"revolut_pay",
]);
/** Debits, which require that the buyer accepted a mandate. The shop's page shows its text. */
const MANDATED: ReadonlySet<string> = new Set([
	"acss_debit",
	"au_becs_debit",
	"bacs_debit",
	"sepa_debit",
	"us_bank_account",
]);

/** Parameters of a confirmation that depend on the type of the payment method. */
export function confirmationOf({
	payment_method,
}: Pick<Stripe.PaymentIntent, "payment_method">): Stripe.PaymentIntentConfirmParams {
	const type = typeof payment_method === "object" ? (payment_method?.type ?? "") : "";
	return {
		...(MANUAL.has(type) && { payment_method_options: { [type]: { capture_method: "manual" } } }),
		...(MANDATED.has(type) && { mandate_data: { customer_acceptance: { type: "offline" } } }),
	};
}
