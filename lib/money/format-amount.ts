import { digitsOf } from "./currency.ts";

/** Formats are cached: creating one takes a hundred times as long as using it. */
const formats = new Map<string, Intl.NumberFormat>();

/** Formats an amount in major units with its currency, in English: €1,234.50. */
export function formatAmount(amount: number, currency: string): string {
	// Intl rejects malformed currency codes.
	if (!/^[A-Z]{3}$/i.test(currency)) return `${amount.toFixed(digitsOf(currency))} ${currency}`;
	const format =
		formats.get(currency) ?? new Intl.NumberFormat("en", { style: "currency", currency });
	formats.set(currency, format);
	return format.format(amount);
}
