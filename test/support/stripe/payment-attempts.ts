import type { Behavior, Failure } from "./cards.ts";
import { failed, newCharge, settled } from "./charges.ts";
import type { Charge, PaymentIntent, PaymentMethod } from "./objects.ts";
import { assertStatus, isManual } from "./payment-intent-rules.ts";
import { type Change, CONFIRMABLE, succeeded } from "./payment-intents.ts";

/** The transitions of a PaymentIntent by which a payer or a bank pays, as pure functions. */

/** Values that a transition cannot derive from the objects. */
export interface Attempt {
	readonly method: PaymentMethod;
	readonly behavior: Behavior;
	/** Seconds since 1970. */
	readonly now: number;
	/** Id of the charge, if the attempt creates one. */
	readonly chargeId: string;
	/** Period until an authorization expires, in seconds. */
	readonly authorizationSeconds: number;
}
export interface Confirmation extends Attempt {
	readonly returnUrl?: string;
	/** Page on which the payer authenticates. */
	readonly redirectUrl: string;
	/** The payer is absent, so that a required authentication is a decline. */
	readonly offSession?: boolean;
}
const AUTHENTICATION_FAILED: Failure = {
	code: "payment_intent_authentication_failure",
	message: "The provided PaymentMethod has failed authentication.",
};
const AUTHENTICATION_REQUIRED: Failure = {
	code: "authentication_required",
	declineCode: "authentication_required",
	message: "Your card was declined. This transaction requires authentication.",
};

export function confirm(intent: PaymentIntent, attempt: Confirmation): Change {
	assertStatus(intent, "confirmed", CONFIRMABLE);
	const { behavior, method } = attempt;
	const started: PaymentIntent = {
		...intent,
		payment_method: method.id,
		last_payment_error: null,
		next_action: null,
	};
	if (behavior.flow === "decline") return declined(started, attempt, behavior.failure!);
	if (behavior.flow === "debit") return debited(started, attempt);
	if (behavior.flow === "approve") return approved(started, attempt);
	return attempt.offSession
		? declined(started, attempt, AUTHENTICATION_REQUIRED)
		: {
				intent: { ...started, status: "requires_action", next_action: nextAction(attempt) },
				events: ["payment_intent.requires_action"],
			};
}

function nextAction({ returnUrl, redirectUrl }: Confirmation): PaymentIntent["next_action"] {
	if (returnUrl)
		return {
			type: "redirect_to_url",
			redirect_to_url: { return_url: returnUrl, url: redirectUrl },
		};
	const use_stripe_sdk = { type: "three_d_secure_redirect", stripe_js: redirectUrl };
	return { type: "use_stripe_sdk", use_stripe_sdk };
}

/** Result of the payer's authentication. Without success, the intent requires another method. */
export function authenticate(intent: PaymentIntent, attempt: Attempt, success: boolean): Change {
	assertStatus(intent, "authenticated", ["requires_action"]);
	const continued: PaymentIntent = { ...intent, next_action: null };
	if (success) return approved(continued, attempt);
	return {
		intent: withFailure(continued, attempt.method, AUTHENTICATION_FAILED),
		events: ["payment_intent.payment_failed"],
		failure: AUTHENTICATION_FAILED,
	};
}

function approved(intent: PaymentIntent, attempt: Attempt): Change {
	const { method, now, chargeId: id } = attempt;
	const created = { id, now, intent, method, status: "succeeded" } as const;
	if (!isManual(intent, method.type)) {
		const charge = newCharge({ ...created, captured: true });
		return {
			...succeeded(intent, charge),
			events: ["charge.succeeded", "payment_intent.succeeded"],
		};
	}
	const captureBefore = now + attempt.authorizationSeconds;
	return {
		intent: {
			...intent,
			status: "requires_capture",
			amount_capturable: intent.amount,
			latest_charge: id,
		},
		charge: newCharge({ ...created, captured: false, captureBefore }),
		events: ["charge.succeeded", "payment_intent.amount_capturable_updated"],
	};
}

function debited(intent: PaymentIntent, { method, now, chargeId: id }: Attempt): Change {
	return {
		intent: { ...intent, status: "processing", latest_charge: id },
		charge: newCharge({ id, now, intent, method, status: "pending", captured: true }),
		events: ["charge.pending", "payment_intent.processing"],
	};
}

function declined(intent: PaymentIntent, attempt: Attempt, failure: Failure): Change {
	const { method, now, chargeId: id } = attempt;
	const charge = newCharge({ id, now, intent, method, status: "failed", captured: false, failure });
	return {
		intent: withFailure({ ...intent, latest_charge: id }, method, failure),
		charge,
		events: ["charge.failed", "payment_intent.payment_failed"],
		failure,
	};
}

function withFailure(
	intent: PaymentIntent,
	method: PaymentMethod,
	failure: Failure,
): PaymentIntent {
	const last_payment_error = {
		type: failure === AUTHENTICATION_FAILED ? "invalid_request_error" : "card_error",
		code: failure.code,
		message: failure.message,
		...(failure.declineCode && { decline_code: failure.declineCode }),
		...(intent.latest_charge && { charge: intent.latest_charge }),
		payment_method: method,
	} as unknown as PaymentIntent["last_payment_error"];
	return { ...intent, status: "requires_payment_method", payment_method: null, last_payment_error };
}

/** Result of a debit after days: the money arrived, or the bank rejected the debit. */
export function settle(
	intent: PaymentIntent,
	charge: Charge,
	method: PaymentMethod,
	failure?: Failure,
): Change {
	assertStatus(intent, "settled", ["processing"]);
	if (!failure)
		return {
			...succeeded(intent, settled(charge)),
			events: ["charge.succeeded", "payment_intent.succeeded"],
		};
	return {
		intent: withFailure(intent, method, failure),
		charge: failed(charge, failure),
		events: ["charge.failed", "payment_intent.payment_failed"],
	};
}
