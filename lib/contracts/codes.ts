/** Rule of a currency. Services check that it exists. */
export const currencyCode = {
	type: "string",
	pattern: "^[A-Z]{3}$",
	example: "EUR",
	description: "ISO 4217 code",
} as const;
/** Rule of a country. `lib/addresses` checks that it exists. */
export const countryCode = {
	type: "string",
	pattern: "^[A-Z]{2}$",
	example: "DE",
	description: "ISO 3166-1 alpha-2 code",
} as const;
