import { toSmallestUnits } from "./currency.ts";

/*
 * Units of amounts in Stripe's API. They differ from those of Intl, which follows Unicode CLDR, for
 * example for HUF, COP, IDR, ISK and UGX: https://docs.stripe.com/currencies, as of November 2026.
 */

/** "Zero-decimal currencies", without UGX, which "Special cases" lists with two decimals. */
const ZERO_DECIMALS = new Set(
	"BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(" "),
);
/** "Three-decimal currencies": the last digit of an amount must be 0. */
const THREE_DECIMALS = new Set("BHD JOD KWD OMR TND".split(" "));
/** "Special cases": two decimals that must be 00. */
const WHOLE_UNITS = new Set(["ISK", "UGX"]);

const scaleOf = (currency: string): number => {
	if (ZERO_DECIMALS.has(currency)) return 1;
	return THREE_DECIMALS.has(currency) ? 1000 : 100;
};
/** Divisor of each amount of a currency. */
const stepOf = (currency: string): number => {
	if (WHOLE_UNITS.has(currency)) return 100;
	return THREE_DECIMALS.has(currency) ? 10 : 1;
};

/** Converts an amount in major units; undefined if Stripe cannot charge exactly this amount. */
export function toStripeUnits(amount: number, currency: string): number | undefined {
	const units = Math.round(amount * scaleOf(currency));
	const isExact = toSmallestUnits(fromStripeUnits(units, currency)) === toSmallestUnits(amount);
	return isExact && units % stepOf(currency) === 0 ? units : undefined;
}

/** Converts an amount of Stripe's API to major units. */
export const fromStripeUnits = (units: number, currency: string): number =>
	units / scaleOf(currency);
