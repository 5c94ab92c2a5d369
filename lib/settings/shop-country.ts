import { isCountry } from "../addresses/countries.ts";
import { StartError } from "../process/start-error.ts";
import type { Env } from "./env.ts";

/** Country of addresses without a country. @throws StartError for an unknown code */
export function shopCountry({ SHOP_COUNTRY }: Pick<Env, "SHOP_COUNTRY">): string {
	if (isCountry(SHOP_COUNTRY)) return SHOP_COUNTRY;
	throw new StartError(
		`SHOP_COUNTRY is ${SHOP_COUNTRY}, ` +
			"which is not the ISO 3166-1 alpha-2 code of a country, such as DE",
	);
}
