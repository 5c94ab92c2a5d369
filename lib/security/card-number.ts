import { invalidField } from "../contracts/errors.ts";

/** 13 to 19 digits with optional separators, the length of card numbers (ISO/IEC 7812-1). */
const CARD_NUMBER = /^\d([ -]?\d){12,18}$/;

/**
 * Rejects card numbers before they are stored or sent on. No provider's IDs look like one.
 * @throws VALIDATION_ERROR, without the number
 */
export function assertNoCardNumber(payment_token: string): void {
	if (CARD_NUMBER.test(payment_token.trim()))
		throw invalidField(
			"payment_token",
			"CARD_NUMBER",
			"Send the payment provider's ID of the payment method, never a card number",
		);
}
