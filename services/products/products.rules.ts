import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { decimalsOf, fitsCurrency, MONEY_DECIMALS } from "../../lib/money/currency.ts";
import type { product } from "./products.contract.ts";

export type Product = Infer<typeof product>;
/** What can change of a product. */
export type Changes = Partial<Omit<Product, "id" | "created_at" | "updated_at">>;

/** The words of a query: runs of letters and digits. Everything else, the operators of text search above all, only separates them. */
export const searchWords = (query: string): string[] => [
	...new Set(query.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []),
];

/** @throws VALIDATION_ERROR for an unknown currency, or a price that has more decimals than its currency */
export function assertPrice({ price, currency }: { price: number; currency: string }): void {
	const decimals = decimalsOf(currency);
	if (decimals === undefined)
		throw invalidField("currency", "CURRENCY", `${currency} is not a currency of ISO 4217`);
	if (decimals > MONEY_DECIMALS)
		throw invalidField(
			"currency",
			"CURRENCY",
			`${currency} has ${decimals} decimals; amounts have at most ${MONEY_DECIMALS}`,
		);
	if (!fitsCurrency(price, currency))
		throw invalidField("price", "MONEY", `A price in ${currency} has at most ${decimals} decimals`);
}

/** @throws VALIDATION_ERROR when no price can be in the range */
export function assertRange({
	min_price,
	max_price,
}: {
	min_price?: number;
	max_price?: number;
}): void {
	if (min_price !== undefined && max_price !== undefined && min_price > max_price)
		throw invalidField("min_price", "RANGE", "min_price is more than max_price");
}

/** @throws VALIDATION_ERROR when nothing is wanted */
export function assertWantsSomething(wanted: Changes): void {
	if (Object.keys(wanted).length === 0)
		throw invalidField("", "EMPTY", "Name at least one field to change");
}

/** What differs from how the product is. */
export const changesOf = (before: Product, wanted: Changes): Changes =>
	Object.fromEntries(
		Object.entries(wanted).filter(([field, value]) => value !== before[field as keyof Product]),
	);
