import { METHOD_TYPES, type MethodType } from "./cards.ts";
import { rejected } from "./errors.ts";
import type { IntentStatus, PaymentIntent } from "./objects.ts";

/** @throws ApiError `payment_intent_unexpected_state`, with the intent in the body */
export function assertStatus(
	intent: PaymentIntent,
	verb: string,
	allowed: readonly IntentStatus[],
): void {
	if (allowed.includes(intent.status)) return;
	throw unexpectedState(
		intent,
		`This PaymentIntent could not be ${verb} because it has a status of ${intent.status}. ` +
			`Only a PaymentIntent with one of the following statuses may be ${verb}: ` +
			`${allowed.join(", ")}.`,
	);
}
export const unexpectedState = (intent: PaymentIntent, message: string) =>
	rejected(message, { code: "payment_intent_unexpected_state", payment_intent: intent });

/** The capture method of a payment: an option of its type precedes the one of the intent. */
export function isManual(intent: PaymentIntent, type: string): boolean {
	const options = intent.payment_method_options as Record<
		string,
		{ capture_method?: string }
	> | null;
	return (options?.[type]?.capture_method ?? intent.capture_method) === "manual";
}

/** @throws ApiError if the intent cannot be paid with the type of the method */
export function assertSupports(intent: PaymentIntent, type: string): void {
	if (!intent.payment_method_types.includes(type))
		throw rejected(
			`The PaymentMethod provided (${type}) is not allowed for this PaymentIntent. ` +
				`Allowed types: ${intent.payment_method_types.join(", ")}.`,
			{ code: "payment_intent_incompatible_payment_method", param: "payment_method" },
		);
	const { manual } = METHOD_TYPES[type as MethodType];
	if (isManual(intent, type) && !manual)
		throw rejected(`The payment method type ${type} does not support capture_method=manual.`, {
			code: "payment_intent_invalid_parameter",
			param: "capture_method",
		});
}
