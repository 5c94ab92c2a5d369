import { COUNTRIES } from "postal-code-checker";

/** Whether a text is an officially assigned ISO 3166-1 alpha-2 code, in upper case. */
export const isCountry = (code: string): boolean => Object.hasOwn(COUNTRIES, code);

const names = new Intl.DisplayNames("en", { type: "region" });

/** English name of a country. @param code ISO 3166-1 alpha-2 code */
export const countryName = (code: string): string => names.of(code) ?? code;
