/*
 * Input and result of the price calculation. Amounts are integers of the currency's minor units
 * (`lib/money`), tax rates are fractions: 0.19 is 19 %.
 */

import { sumOf } from "./integers.ts";

/**
 * Position at which percentages and taxes are rounded, half up: each line, or the sum of the lines
 * that a promotion or a tax rate applies to. A rounded sum is divided by largest remainder.
 */
export type Rounding = "line" | "total";

/** A product and its quantity, from 1. A cart contains a product at most once. */
export interface PricingLine {
	readonly product_id: string;
	readonly quantity: number;
	/** Price of one piece. Includes tax if {@link TaxQuote.prices_include_tax}. */
	readonly unit_price: number;
	/** Category path, for promotions. */
	readonly category: string | null;
	/** Parent of a variant, for promotions. */
	readonly parent_id?: string | null;
}
/** Sum of the lines before discounts, in minor units. */
export const subtotalOf = (
	lines: readonly Pick<PricingLine, "unit_price" | "quantity">[],
): number => sumOf(lines.map(({ unit_price, quantity }) => unit_price * quantity));

export type PromotionEffect =
	/** `value` percent of the base, from 0 (exclusive) to 100, with at most 4 decimals. */
	| { readonly type: "percent_off"; readonly value: number }
	/** `value` minor units, at most the base. */
	| { readonly type: "amount_off"; readonly value: number }
	| { readonly type: "free_shipping" }
	/**
	 * The `get` cheapest of each `buy + get` pieces of the matching lines are free. The pieces of
	 * all matching lines are counted together, in descending order of their price. Pieces of an
	 * incomplete group are not free. k of n pieces are worth k/n of what earlier promotions left of
	 * the line.
	 */
	| { readonly type: "buy_x_get_y"; readonly buy: number; readonly get: number };

/** All conditions must hold. An absent condition holds. */
export interface PromotionConditions {
	/** Minimum of the subtotal of all lines, before discounts, in minor units. */
	readonly min_subtotal?: number;
	/**
	 * Products that the promotion applies to, with the variants of parents. If `product_ids` or
	 * `categories` is present, the promotion discounts the lines that match one of them; otherwise
	 * all lines together. Free shipping requires a matching line. IDs are in lower case.
	 */
	readonly product_ids?: readonly string[];
	/** Category branches, case-insensitive: "Kitchen" includes "Kitchen/Knives". */
	readonly categories?: readonly string[];
	/** Only for the first order of a customer. */
	readonly first_order?: boolean;
	/** Only for these accounts. */
	readonly user_ids?: readonly string[];
}
/** A promotion as plain data, in the cart's currency. */
export interface PricingPromotion {
	readonly id: string;
	readonly name: string;
	/** Null for an automatic promotion. */
	readonly code: string | null;
	/**
	 * Promotions with a higher priority are applied first; ties are resolved by ID. But promotions of
	 * lines (with products or categories, and `buy_x_get_y`) precede those of the order, and those
	 * precede free shipping.
	 */
	readonly priority: number;
	/**
	 * Whether it applies together with other promotions. A promotion that is not combinable applies
	 * alone, and only if its discount is larger than that of all combinable promotions together and
	 * than that of each other one; ties are resolved in favor of the combinable ones, then by
	 * priority, then by ID.
	 */
	readonly combinable: boolean;
	readonly conditions: PromotionConditions;
	readonly effect: PromotionEffect;
	/** Maximum discount that the remaining budget allows, in minor units; undefined for no limit. */
	readonly max_discount?: number;
}
/** The customer, as far as conditions require. */
export interface PricingCustomer {
	readonly user_id: string | null;
	readonly has_ordered: boolean;
}

interface ShippingQuote {
	readonly code: string;
	readonly name: string;
	/** Includes tax if {@link TaxQuote.prices_include_tax}. */
	readonly price: number;
}

export interface TaxRate {
	readonly name: string;
	/** Fraction from 0 to 1 with at most 6 decimals: 0.19 is 19 %. */
	readonly rate: number;
}
export interface TaxQuote {
	readonly prices_include_tax: boolean;
	/** Rate of each line, in the order of the lines; null for none. */
	readonly lines: readonly (TaxRate | null)[];
	readonly shipping: TaxRate | null;
}

/** Without tax rates. */
export const NO_TAX = (lines: number): TaxQuote => ({
	prices_include_tax: true,
	lines: Array.from({ length: lines }, () => null),
	shipping: null,
});

export interface PricingInput {
	readonly currency: string;
	readonly lines: readonly PricingLine[];
	/** Candidates: those without a code and those whose code the buyer entered. */
	readonly promotions: readonly PricingPromotion[];
	readonly customer: PricingCustomer;
	/** Null while no method is selected or none is required. */
	readonly shipping: ShippingQuote | null;
	readonly tax: TaxQuote;
	readonly rounding: Rounding;
}

export interface PricedLine {
	readonly product_id: string;
	readonly quantity: number;
	readonly unit_price: number;
	/** `unit_price` × `quantity`. */
	readonly subtotal: number;
	/** Share of all discounts of lines. */
	readonly discount: number;
	/** Tax on `subtotal` − `discount`; included in it if prices include tax. */
	readonly tax: number;
	/** Charged amount: `subtotal` − `discount` (+ `tax` if prices exclude tax). */
	readonly total: number;
	readonly tax_rate: TaxRate | null;
}
/** A promotion that discounts the cart. One that discounts nothing is left out. */
export interface Adjustment {
	readonly promotion_id: string;
	readonly name: string;
	readonly code: string | null;
	readonly amount: number;
}
/** Tax of all lines and of shipping with the same name and rate, if they are charged. */
export interface TaxTotal extends TaxRate {
	readonly amount: number;
}
/**
 * The result, frozen at every depth. Guarantees: `subtotal` = Σ line subtotals; `discount_amount` =
 * Σ adjustments = Σ line discounts + `shipping_discount`; `tax_amount` = Σ taxes = Σ line taxes +
 * `shipping_tax`; `total_amount` = `subtotal` − `discount_amount` + `shipping_amount` (+
 * `tax_amount` if prices exclude tax) = Σ line totals + `shipping_amount` − `shipping_discount` (+
 * `shipping_tax`).
 */
export interface PricedCart {
	readonly currency: string;
	readonly prices_include_tax: boolean;
	readonly lines: readonly PricedLine[];
	/** In the order in which the promotions are applied. */
	readonly adjustments: readonly Adjustment[];
	readonly shipping_method: { readonly code: string; readonly name: string } | null;
	/** Price of the shipping method, before {@link shipping_discount}. */
	readonly shipping_amount: number;
	readonly shipping_discount: number;
	readonly shipping_tax: number;
	readonly shipping_tax_rate: TaxRate | null;
	/** By descending rate, then by name. */
	readonly taxes: readonly TaxTotal[];
	readonly subtotal: number;
	readonly discount_amount: number;
	readonly tax_amount: number;
	readonly total_amount: number;
}
