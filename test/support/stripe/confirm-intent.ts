import { METHOD_TYPES, type MethodType } from "./cards.ts";
import { chargePrefix } from "./charges.ts";
import { openDispute } from "./disputes.ts";
import { ApiError, invalidParameter } from "./errors.ts";
import type { Form } from "./form.ts";
import type { PaymentIntent, PaymentMethod } from "./objects.ts";
import { flag, text } from "./params.ts";
import { type Attempt, confirm } from "./payment-attempts.ts";
import { assertStatus, assertSupports, unexpectedState } from "./payment-intent-rules.ts";
import { type Change, CONFIRMABLE } from "./payment-intents.ts";
import { behaviorOfMethod, methodOf } from "./payment-methods.ts";
import type { ApiRequest } from "./route.ts";
import type { State } from "./state.ts";

/**
 * Confirms an intent with the method of the request, or with the one that it has.
 * @throws ApiError 402 if the attempt fails; the intent has changed nevertheless
 */
export function confirmIntent(
	state: State,
	{ form, baseUrl }: Pick<ApiRequest, "form" | "baseUrl">,
	intent: PaymentIntent,
	method: PaymentMethod,
): PaymentIntent {
	const change = confirm(intent, {
		...attemptWith(state, method),
		returnUrl: text(form, "return_url"),
		redirectUrl: `${baseUrl}/test/redirect/${intent.id}`,
		offSession: [text(form, "off_session"), text(form, "error_on_requires_action")].includes(
			"true",
		),
	});
	applyAttempt(state, change);
	if (change.failure) throw cardError(change, method);
	return change.intent;
}

export const attemptWith = (state: State, method: PaymentMethod): Attempt => ({
	method,
	behavior: behaviorOfMethod(method),
	now: state.now(),
	chargeId: state.newId(chargePrefix(method.type)),
	authorizationSeconds: state.options.authorizationSeconds,
});

/** Stores a transition that may capture. Some test cards open a dispute after the capture. */
export function applyAttempt(state: State, change: Change): void {
	state.apply(change);
	const { charge } = change;
	const reason = charge && state.behaviorOf(charge.payment_method)?.dispute;
	if (!reason || charge.status !== "succeeded" || !charge.captured) return;
	disputeCharge(state, charge.id, reason);
}

/** Opens a dispute over a charge, by default over its captured amount. @throws ApiError */
export function disputeCharge(state: State, chargeId: string, reason: string, amount?: number) {
	const charge = state.charge(chargeId);
	const { dispute, events } = openDispute({
		id: state.newId("du"),
		now: state.now(),
		charge,
		amount: amount ?? charge.amount_captured,
		reason,
	});
	state.charges.set(charge.id, { ...charge, disputed: true });
	state.disputes.set(dispute.id, dispute);
	for (const type of events) state.publish(type, dispute);
	return dispute;
}

const cardError = ({ intent, failure }: Change, method: PaymentMethod) =>
	new ApiError(402, {
		type: "card_error",
		code: failure!.code,
		message: failure!.message,
		...(failure!.declineCode && { decline_code: failure!.declineCode }),
		...(intent.latest_charge && { charge: intent.latest_charge }),
		payment_intent: intent,
		payment_method: method,
	});

/** Method with which a request confirms an intent. @throws ApiError if it cannot be confirmed */
export function methodToConfirm(state: State, form: Form, intent: PaymentIntent): PaymentMethod {
	assertStatus(intent, "confirmed", CONFIRMABLE);
	const current = intent.payment_method ? state.methods.get(intent.payment_method) : undefined;
	const method = methodOf(state, form) ?? current;
	if (!method)
		throw unexpectedState(
			intent,
			"You cannot confirm this PaymentIntent because it's missing a payment method.",
		);
	assertSupports(intent, method.type);
	assertReturnUrl(intent, form);
	return method;
}

/** @throws ApiError without a return URL, if one of the intent's types could redirect the payer */
function assertReturnUrl(intent: PaymentIntent, form: Form): void {
	if (form.return_url !== undefined || flag(form, "use_stripe_sdk")) return;
	const isRestricted = intent.allowed_payment_method_types !== null;
	const redirects = isRestricted
		? intent.payment_method_types.some((type) => METHOD_TYPES[type as MethodType].redirects)
		: intent.automatic_payment_methods?.allow_redirects === "always";
	if (redirects)
		throw invalidParameter(
			"This PaymentIntent accepts payment methods that might redirect your customer. Provide a " +
				"`return_url`, or set `automatic_payment_methods[allow_redirects]` to `never`.",
			{ param: "return_url" },
		);
}
