import Stripe from "stripe";

const { StripeError, StripeCardError, StripeIdempotencyError, StripeInvalidRequestError } =
	Stripe.errors;

/** Parameters that come from the buyer and the order, not from the configuration. */
const PAYMENT_PARAMS = ["amount", "currency", "payment_method"];
const DECLINE_CODES = [
	"amount_too_large",
	"amount_too_small",
	"payment_intent_incompatible_payment_method",
];

/** Whether Stripe has not executed the request, and never will under its idempotency key. */
export const isRejected = (error: unknown): error is Stripe.errors.StripeError =>
	error instanceof StripeCardError ||
	(error instanceof StripeInvalidRequestError && error.statusCode !== 429);

/** Whether Stripe rejected the payment itself. Other rejections are errors of the configuration. */
export const isDecline = (error: unknown): error is Stripe.errors.StripeError =>
	error instanceof StripeCardError ||
	(isRejected(error) &&
		(PAYMENT_PARAMS.includes(error.param ?? "") || DECLINE_CODES.includes(error.code ?? "")));

/**
 * Whether Stripe replays the error for the idempotency key. Other server errors come from gateways;
 * the request may still be in flight.
 */
export const isStored = (error: unknown): boolean =>
	error instanceof StripeError && error.statusCode === 500;

/**
 * Whether the error belongs to an earlier request under the idempotency key: a server error, a
 * rejection whose reason may not apply any more, or a request with another amount.
 */
export const isReplayed = (error: unknown): boolean =>
	isStored(error) ||
	error instanceof StripeIdempotencyError ||
	(isRejected(error) && error.headers?.["idempotent-replayed"] === "true");

/** Whether the charge is disputed, so that the payer's bank has returned the money already. */
export const isDisputed = (error: unknown): error is Stripe.errors.StripeError =>
	isRejected(error) && error.code === "charge_disputed";

/** The error without the response, because a PaymentIntent contains a client secret. */
export function withoutResponse(error: unknown): unknown {
	if (!(error instanceof StripeError)) return error;
	const { type, statusCode, code, requestId, message } = error;
	const details = [statusCode, type, code, requestId].filter(Boolean).join(", ");
	return new Error(`Stripe: ${message} (${details})`);
}
