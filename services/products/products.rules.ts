import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { digitsOf, fitsCurrency, isCurrency } from "../../lib/money/currency.ts";
import type { changes, product } from "./products.contract.shapes.ts";

export type Product = Infer<typeof product>;
/** Fields of a product that can change. */
export type Changes = Infer<typeof changes>;

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

/** Separates the parts of a category, as in `Kitchen/Knives`. */
export const CATEGORY_SEPARATOR = "/";
const MAX_CATEGORY_DEPTH = 8;

/**
 * Canonical form of a category path: without spaces around its parts.
 * @throws VALIDATION_ERROR for an empty part, or more than MAX_CATEGORY_DEPTH parts
 */
export function categoryPath(category: string, field = "category"): string {
	const parts = category.split(CATEGORY_SEPARATOR).map((part) => part.trim());
	if (parts.includes(""))
		throw invalidField(field, "CATEGORY", "A category must not contain an empty part");
	if (parts.length > MAX_CATEGORY_DEPTH)
		throw invalidField(
			field,
			"CATEGORY",
			`A category can have at most ${MAX_CATEGORY_DEPTH} levels`,
		);
	return parts.join(CATEGORY_SEPARATOR);
}

/** @throws VALIDATION_ERROR if two option names are the same */
export function assertOptionNames({ option_names }: { option_names?: string[] | null }): void {
	if (option_names && new Set(option_names).size < option_names.length)
		throw invalidField("option_names", "DUPLICATE", "Option names must differ from each other");
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
