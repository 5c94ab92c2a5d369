import {
	format as formatPostalCode,
	getCountryByCode,
	validatePostalCode,
} from "postal-code-checker";
import type { address } from "../contracts/address.ts";
import { invalidField } from "../contracts/errors.ts";
import type { Infer } from "../contracts/schema.ts";
import { countryName, isCountry } from "./countries.ts";

export type Address = Infer<typeof address>;

/**
 * Checks the parts of an address that its contract cannot express: the country exists, and the
 * postal code has the country's format. Case and surrounding spaces do not matter. A country
 * without postal codes accepts any text.
 * @param field name of the parameter with the address, for instance `shipping_address`; undefined
 * if the parameters themselves are the address
 * @throws VALIDATION_ERROR for `FIELD.country` or `FIELD.postal_code`
 */
export function assertAddress(
	field: string | undefined,
	{ country, postal_code }: Pick<Address, "country" | "postal_code">,
): void {
	const path = (name: string) => (field === undefined ? name : `${field}.${name}`);
	if (!isCountry(country))
		throw invalidField(
			path("country"),
			"COUNTRY",
			"Enter the ISO 3166-1 alpha-2 code of a country, such as DE",
		);
	const example = postalCodeExample(country);
	if (example === undefined || (postal_code && validatePostalCode(country, postal_code))) return;
	throw invalidField(
		path("postal_code"),
		postal_code ? "POSTAL_CODE" : "REQUIRED",
		`Enter a postal code of ${countryName(country)}, such as ${example}`,
	);
}

/** A postal code of a country, or undefined if the country has no postal codes. */
const postalCodeExample = (country: string): string | undefined =>
	getCountryByCode(country)?.examplePostalCodes[0];

/**
 * Lines of an address, from the name to the country's English name. Contains every part except the
 * phone number, in the same order for all countries. No line contains a line break.
 */
export function formatAddress(address: Address): string[] {
	const { name, company, line1, line2, city, region, country } = address;
	const town = `${postalCodeOf(address)} ${city}`;
	return [name, company, line1, line2, town, region, countryName(country)]
		.map((line) => oneLine(line ?? ""))
		.filter((line) => line !== "");
}

/**
 * Postal code and country of an address. These parts have a fixed format, so they contain no text
 * that a person made up.
 */
export function formatPlace({ country, postal_code }: Address): string[] {
	const code = postal_code ? formatPostalCode(country, postal_code) : null;
	return isCountry(country) ? [...(code ? [code] : []), countryName(country)] : [];
}

/** The postal code of an address in its country's spelling; empty without one. */
export const postalCodeOf = ({
	country,
	postal_code,
}: Pick<Address, "country" | "postal_code">): string =>
	postal_code ? (formatPostalCode(country, postal_code) ?? postal_code) : "";

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();
