import { fromMinorUnits, maxMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import type { CartToPrice, PricingResult } from "../../lib/pricing/price-carts.ts";
import { weightOf } from "../../lib/pricing/sources.ts";
import type { Cart, CartContents, CartLine, Quote, StoredCart } from "./carts.rules.ts";

/** Currency of a cart without lines. */
export const DEFAULT_CURRENCY = "EUR";

/** The fields of a product that a cart requires. */
export interface Product {
	readonly id: string;
	readonly name: string;
	readonly price: number;
	readonly currency: string;
	readonly category: string | null;
	readonly parent_id: string | null;
	readonly options: object | null;
	readonly attributes: { readonly [name: string]: unknown };
	readonly variant_count: number;
}
export type Problem = Cart["problems"][number];

/** A line with its product. */
export interface ExaminedLine {
	readonly line: CartLine;
	readonly product: Product | null;
	/** Major units; null if the line cannot be ordered, for the reason `problem`. */
	readonly unit_price: number | null;
	readonly problem: Problem["code"] | null;
}
/** A cart with the current data of other services. */
export interface Evaluation {
	readonly lines: readonly ExaminedLine[];
	/** Stock by product; undefined during an outage. */
	readonly available: ReadonlyMap<string, number> | undefined;
	/** Prices of the lines that can be ordered; null if there is none. */
	readonly result: PricingResult | null;
	/** Whether `result` is based on the last known values of another service. */
	readonly estimated: boolean;
	/** Whether the price or the delivery depends on the address. */
	readonly requiresAddress: boolean;
}

/**
 * The lines with their products. A line in another currency cannot be priced, nor one with which
 * the cart exceeds the largest amount.
 * @param products by line; null if the product does not exist
 */
export function examineLines(
	{ lines, currency }: CartContents,
	products: readonly (Product | null)[],
): ExaminedLine[] {
	const unit = currency ?? DEFAULT_CURRENCY;
	const limit = maxMinorUnits(unit);
	let subtotal = 0;
	return lines.map((line, i) => {
		const product = products[i] ?? null;
		const impossible = (problem: Problem["code"]) => ({ line, product, unit_price: null, problem });
		if (!product) return impossible("PRODUCT_NOT_FOUND");
		if (product.currency !== unit) return impossible("CURRENCY_CHANGED");
		const price = toMinorUnits(product.price, unit);
		if (subtotal + price * line.quantity > limit) return impossible("ORDER_TOO_LARGE");
		subtotal += price * line.quantity;
		return {
			line,
			product,
			unit_price: fromMinorUnits(price, unit),
			problem: product.variant_count > 0 ? "CHOOSE_VARIANT" : null,
		};
	});
}

/** The lines after the buyer has seen their current prices. */
export const seenLines = (lines: readonly ExaminedLine[]): CartLine[] =>
	lines.map(({ line, unit_price }) =>
		line.seen === unit_price ? line : { ...line, seen: unit_price },
	);

/** The cart for `priceCarts`; null if no line can be ordered. */
export function toPrice(
	{ user_id, email, coupon_codes, shipping_address, shipping_method, ...cart }: CartToEvaluate,
	lines: readonly ExaminedLine[],
): CartToPrice | null {
	const priceable = lines.flatMap(({ line: { product_id, quantity }, product, unit_price }) =>
		product && unit_price !== null
			? {
					product_id,
					quantity,
					unit_price,
					category: product.category,
					parent_id: product.parent_id,
					weight: weightOf(product.attributes),
				}
			: [],
	);
	if (priceable.length === 0) return null;
	return {
		currency: cart.currency ?? DEFAULT_CURRENCY,
		lines: priceable,
		user_id,
		email,
		coupon_codes,
		country: shipping_address?.country ?? null,
		region: shipping_address?.region || null,
		shipping_method,
	};
}
export type CartToEvaluate = CartContents & Pick<StoredCart, "user_id">;

/** Conditions that prevent the checkout of a cart with lines. */
export function problemsOf(
	{ user_id, email, shipping_address, lines: { length } }: CartToEvaluate,
	{ lines, available, result, requiresAddress }: Evaluation,
): Problem[] {
	if (length === 0) return [];
	const total = result?.priced.total_amount ?? 0;
	const codes: Problem["code"][] = [
		...(user_id === null && email === null ? (["EMAIL_REQUIRED"] as const) : []),
		...(requiresAddress && !shipping_address ? (["ADDRESS_REQUIRED"] as const) : []),
		...(total > maxMinorUnits(result?.priced.currency ?? DEFAULT_CURRENCY)
			? (["ORDER_TOO_LARGE"] as const)
			: []),
	];
	return [
		...lines.flatMap((one) => lineProblems(one, available)),
		...codes.map((code) => ({ code, product_id: null })),
		...(result?.problems ?? []).map((problem) => ({ ...problem, product_id: null })),
	];
}
function lineProblems(
	{ line: { product_id, quantity }, problem }: ExaminedLine,
	available: Evaluation["available"],
): Problem[] {
	if (problem) return [{ code: problem, product_id }];
	const isShort = available !== undefined && (available.get(product_id) ?? 0) < quantity;
	return isShort ? [{ code: "OUT_OF_STOCK", product_id }] : [];
}

/**
 * The values to keep for an outage, from a result that is not an estimate.
 * @param promotions of the coupons
 */
export function quoteOf(
	{ priced, shipping_methods }: PricingResult,
	promotions: Quote["promotions"],
): Quote | null {
	const isTaxed = !priced.prices_include_tax || priced.taxes.length > 0;
	if (!isTaxed && shipping_methods.length === 0 && promotions.length === 0) return null;
	const rates = priced.lines.map(({ product_id, tax_rate }) => [product_id, tax_rate] as const);
	return {
		methods: shipping_methods,
		tax: isTaxed
			? {
					prices_include_tax: priced.prices_include_tax,
					rates: Object.fromEntries(rates),
					shipping: priced.shipping_tax_rate,
				}
			: null,
		promotions,
	};
}
