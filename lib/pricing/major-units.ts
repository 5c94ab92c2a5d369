import { fromMinorUnits, toMinorUnits } from "../money/currency.ts";
import type { PricedCart, PricedLine, PricingPromotion, PromotionEffect } from "./pricing.ts";

/**
 * Converts the amounts of a priced cart to major units.
 * @param detailsOf fields to add to a line, such as the product's name
 */
export function inMajorUnits<D extends object>(
	cart: PricedCart,
	detailsOf: (line: PricedLine, position: number) => D,
) {
	const major = (amount: number) => fromMinorUnits(amount, cart.currency);
	const withAmount = <A extends { readonly amount: number }>(item: A): A => ({
		...item,
		amount: major(item.amount),
	});
	return {
		currency: cart.currency,
		prices_include_tax: cart.prices_include_tax,
		lines: cart.lines.map((line, position) => ({
			...detailsOf(line, position),
			product_id: line.product_id,
			quantity: line.quantity,
			unit_price: major(line.unit_price),
			subtotal: major(line.subtotal),
			discount: major(line.discount),
			tax: major(line.tax),
			total: major(line.total),
			tax_rate: line.tax_rate,
		})),
		adjustments: cart.adjustments.map(withAmount),
		shipping_method: cart.shipping_method,
		shipping_amount: major(cart.shipping_amount),
		shipping_discount: major(cart.shipping_discount),
		shipping_tax: major(cart.shipping_tax),
		shipping_tax_rate: cart.shipping_tax_rate,
		taxes: cart.taxes.map(withAmount),
		subtotal: major(cart.subtotal),
		discount_amount: major(cart.discount_amount),
		tax_amount: major(cart.tax_amount),
		total_amount: major(cart.total_amount),
	};
}

/** A promotion as an administrator defines it, with amounts in major units of `currency`. */
export interface DefinedPromotion extends Omit<PricingPromotion, "effect" | "max_discount"> {
	readonly currency: string;
	readonly effect: {
		readonly type: PromotionEffect["type"];
		readonly value?: number;
		readonly buy?: number;
		readonly get?: number;
	};
	readonly budget: number | null;
}

/**
 * Converts a promotion for a cart with amounts in `currency`. Its discount is limited by its whole
 * budget. The redemption, which follows, refuses a discount that exceeds the remaining budget.
 * @returns null if the promotion contains amounts of another currency
 */
export function pricingPromotion(
	{ id, name, code, priority, combinable, conditions, ...promotion }: DefinedPromotion,
	currency: string,
): PricingPromotion | null {
	const { effect, budget } = promotion;
	const { min_subtotal } = conditions;
	const hasAmounts = effect.type === "amount_off" || budget !== null || min_subtotal !== undefined;
	if (hasAmounts && promotion.currency !== currency) return null;
	const minor = (amount: number) => toMinorUnits(amount, currency);
	return {
		...{ id, name, code, priority, combinable },
		conditions:
			min_subtotal === undefined
				? conditions
				: { ...conditions, min_subtotal: minor(min_subtotal) },
		effect: effectOf(effect, minor),
		...(budget === null ? {} : { max_discount: minor(budget) }),
	};
}

/** An effect without the numbers that its type requires discounts nothing. */
function effectOf(
	{ type, value = 0, buy = 1, get = 0 }: DefinedPromotion["effect"],
	minor: (amount: number) => number,
): PromotionEffect {
	switch (type) {
		case "percent_off":
			return { type, value };
		case "amount_off":
			return { type, value: minor(value) };
		case "buy_x_get_y":
			return { type, buy, get };
		case "free_shipping":
			return { type };
	}
}
