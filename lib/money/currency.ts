/** Decimals of all money columns, NUMERIC(12,2). */
export const MONEY_DECIMALS = 2;

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));
const decimals = new Map<string, number>();

/** Decimals of a currency in ISO 4217, for example 0 for JPY; undefined for an unknown currency. */
export function decimalsOf(currency: string): number | undefined {
	if (!CURRENCIES.has(currency)) return undefined;
	const cached = decimals.get(currency);
	if (cached !== undefined) return cached;
	const { maximumFractionDigits = MONEY_DECIMALS } = new Intl.NumberFormat("en", {
		style: "currency",
		currency,
	}).resolvedOptions();
	decimals.set(currency, maximumFractionDigits);
	return maximumFractionDigits;
}

/**
 * Whether an amount in major units has no more decimals than its currency allows. An unknown
 * currency allows two.
 */
export function fitsCurrency(amount: number, currency: string): boolean {
	const scale = 10 ** Math.min(decimalsOf(currency) ?? MONEY_DECIMALS, MONEY_DECIMALS);
	return Math.round(amount * scale) / scale === amount;
}
