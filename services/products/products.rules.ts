import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { digitsOf, fitsCurrency, isCurrency } from "../../lib/money/currency.ts";
import type { product } from "./products.contract.ts";

export type Product = Infer<typeof product>;
/** Fields of a product that can change. */
export type Changes = Partial<Omit<Product, "id" | "created_at" | "updated_at">>;

/**
 * Distinct words of a query: runs of letters, marks and digits. All other characters, such as
 * operators of text search, separate words.
 */
export const searchWords = (query: string): string[] => [
	...new Set(query.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []),
];

/** @throws VALIDATION_ERROR for an unknown currency or a price with too many decimals for it */
export function assertPrice({ price, currency }: { price: number; currency: string }): void {
	if (!isCurrency(currency))
		throw invalidField("currency", "CURRENCY", `${currency} is not an ISO 4217 currency`);
	if (!fitsCurrency(price, currency))
		throw invalidField(
			"price",
			"MONEY",
			`A price in ${currency} can have at most ${digitsOf(currency)} decimals`,
		);
}

/** @throws VALIDATION_ERROR if `min_price` exceeds `max_price` */
export function assertRange({
	min_price,
	max_price,
}: {
	min_price?: number;
	max_price?: number;
}): void {
	if (min_price !== undefined && max_price !== undefined && min_price > max_price)
		throw invalidField("min_price", "RANGE", "min_price must not exceed max_price");
}
