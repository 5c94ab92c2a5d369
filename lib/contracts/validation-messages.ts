import { MAX_DIGITS } from "../money/currency.ts";

/**
 * Error messages of our rules, and of rules whose own message is unsuitable. They become source
 * text, so they must not contain double quotes.
 */
export const messages = {
	notNull: "The '{field}' field must not be null.",
	text: "The '{field}' field must be Unicode text without the character U+0000.",
	money:
		`The '{field}' field must be a number with at most ${MAX_DIGITS} decimals, ` +
		"and no more than its currency has.",
	moneyMin: "The '{field}' field must be greater than or equal to {expected}.",
	moneyMax: "The '{field}' field must be less than or equal to {expected}.",
	time: "The '{field}' field must be an RFC 3339 time in UTC.",
	// Omits the names of the fields: a client can make them arbitrarily long, and the error contains
	// them separately.
	objectStrict: "The object '{field}' has unknown fields.",
	enumValue: "The '{field}' field must be one of: {expected}.",
	record: "The '{field}' field must be an object.",
	recordMin: "The '{field}' field must have at least {expected} names.",
	recordMax: "The '{field}' field must have at most {expected} names.",
	recordKey:
		"The '{field}' field has a name that is too long or has other characters than allowed.",
	multi: "The '{field}' field must be of the type: {expected}.",
};
