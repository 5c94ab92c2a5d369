import { COUNTRIES } from "postal-code-checker";

/** Whether a text is an officially assigned ISO 3166-1 alpha-2 code, in upper case. */
export const isCountry = (code: string): boolean => Object.hasOwn(COUNTRIES, code);

/** Created at its first use, because that takes 9 ms, and most nodes never need it. */
let names: Intl.DisplayNames | undefined;

/** English name of a country. @param code ISO 3166-1 alpha-2 code */
export function countryName(code: string): string {
	names ??= new Intl.DisplayNames("en", { type: "region" });
	return names.of(code) ?? code;
}
