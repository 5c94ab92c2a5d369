/** The decimals of every money column, NUMERIC(12,2). */
export const MONEY_DECIMALS = 2;

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));
const decimals = new Map<string, number>();

/** The decimals of a currency by ISO 4217, 0 for JPY; undefined if there is no such currency. */
export function decimalsOf(currency: string): number | undefined {
	if (!CURRENCIES.has(currency)) return undefined;
	const known = decimals.get(currency);
	if (known !== undefined) return known;
	const { maximumFractionDigits = MONEY_DECIMALS } = new Intl.NumberFormat("en", {
		style: "currency",
		currency,
	}).resolvedOptions();
	decimals.set(currency, maximumFractionDigits);
	return maximumFractionDigits;
}

/** Whether an amount in major units has no more decimals than its currency; amounts in an unknown currency have two. */
export function fitsCurrency(amount: number, currency: string): boolean {
	const scale = 10 ** Math.min(decimalsOf(currency) ?? MONEY_DECIMALS, MONEY_DECIMALS);
	return Math.round(amount * scale) / scale === amount;
}
