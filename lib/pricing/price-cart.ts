import { discountsOf, NO_DISCOUNTS } from "./discounts.ts";
import { sumOf } from "./integers.ts";
import type { PricedCart, PricingInput, TaxRate } from "./pricing.ts";
import { taxesOf } from "./taxes.ts";
import { assertValid } from "./validity.ts";

/**
 * Calculates the price of a cart: lines, promotions of lines by priority, promotions of the order,
 * shipping, promotions of shipping, taxes, totals. The result is frozen at every depth and does not
 * depend on the order of lines and promotions, except for the order of its lines.
 * @throws {RangeError} for values that the contracts reject, such as a fraction of a minor unit,
 *   and for a sum of lines and shipping above 2^52 minor units
 */
export function priceCart(input: PricingInput): PricedCart {
	assertValid(input);
	const { lines, shipping, tax, promotions } = input;
	const subtotals = lines.map(({ unit_price, quantity }) => unit_price * quantity);
	const discounts = promotions.length === 0 ? NO_DISCOUNTS : discountsOf(input, subtotals);
	const bases = subtotals.map((subtotal, i) => subtotal - (discounts.lines[i] ?? 0));
	const shippingPrice = shipping?.price ?? 0;
	bases.push(shippingPrice - discounts.shipping);
	const taxes = taxesOf(input, bases);
	const added = (amount: number) => (tax.prices_include_tax ? 0 : amount);

	const subtotal = sumOf(subtotals);
	const priced = lines.map(({ product_id, quantity, unit_price }, i) =>
		Object.freeze({
			product_id,
			quantity,
			unit_price,
			subtotal: subtotals[i]!,
			discount: discounts.lines[i] ?? 0,
			tax: taxes.lines[i]!,
			total: bases[i]! + added(taxes.lines[i]!),
			tax_rate: copyOf(tax.lines[i]!),
		}),
	);
	return Object.freeze({
		currency: input.currency,
		prices_include_tax: tax.prices_include_tax,
		lines: Object.freeze(priced),
		adjustments: frozen(discounts.adjustments),
		shipping_method: shipping && Object.freeze({ code: shipping.code, name: shipping.name }),
		shipping_amount: shippingPrice,
		shipping_discount: discounts.shipping,
		shipping_tax: taxes.shipping,
		shipping_tax_rate: shipping && copyOf(tax.shipping),
		taxes: frozen(taxes.totals),
		subtotal,
		discount_amount: discounts.total,
		tax_amount: taxes.total,
		total_amount: subtotal - discounts.total + shippingPrice + added(taxes.total),
	});
}

const copyOf = (rate: TaxRate | null): TaxRate | null =>
	rate && Object.freeze({ name: rate.name, rate: rate.rate });
const frozen = <T extends object>(values: readonly T[]): readonly T[] =>
	Object.freeze(values.map((value) => Object.freeze(value)));
