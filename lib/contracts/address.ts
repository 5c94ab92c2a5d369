import { countryCode } from "./codes.ts";
import { shape } from "./schema.ts";

const text = (max: number) => ({ type: "string", min: 1, max, trim: true }) as const;
const optionalText = (max: number) =>
	({ type: "string", max, trim: true, nullable: true, optional: true }) as const;

/** A postal address. `lib/addresses` checks country and postal code. */
export const address = shape({
	name: text(200),
	company: optionalText(200),
	line1: text(200),
	line2: optionalText(200),
	postal_code: {
		...optionalText(20),
		description: "Required, and in the country's format, where the country has postal codes",
	},
	city: text(100),
	region: { ...optionalText(100), description: "State, province or canton" },
	country: countryCode,
	phone: optionalText(40),
});
