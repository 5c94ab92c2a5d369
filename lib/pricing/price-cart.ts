import { discountsOf, NO_DISCOUNTS } from "./discounts.ts";
import { isAmount, sumOf } from "./integers.ts";
import type { PricedCart, PricingInput, PricingLine, TaxRate } from "./pricing.ts";
import { taxesOf } from "./taxes.ts";

/** Maximum of subtotal and shipping in minor units, so that the total with tax is a safe integer. */
const MAX_AMOUNT = 2 ** 52;

/** Sum of the lines before discounts, in minor units. */
export const subtotalOf = (lines: readonly PricingLine[]): number =>
	sumOf(lines.map(({ unit_price, quantity }) => unit_price * quantity));

/**
 * Calculates the price of a cart: lines, promotions of lines by priority, promotions of the order,
 * shipping, promotions of shipping, taxes, totals. The result is frozen at every depth and does not
 * depend on the order of lines and promotions, except for the order of its lines.
 * @throws {RangeError} for an amount or quantity that is not an integer, a number of tax rates that
 *   differs from the number of lines, and a sum above 2^52 minor units
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

function assertValid({ lines, shipping, tax }: PricingInput): void {
	if (tax.lines.length !== lines.length)
		throw new RangeError(`${tax.lines.length} tax rates for ${lines.length} lines`);
	for (const { product_id, unit_price, quantity } of lines)
		if (!isAmount(unit_price) || !isAmount(quantity) || quantity === 0)
			throw new RangeError(
				`Invalid price or quantity of ${product_id}: ${unit_price}, ${quantity}`,
			);
	const price = shipping?.price ?? 0;
	if (!isAmount(price)) throw new RangeError(`Invalid price of shipping: ${price}`);
	if (subtotalOf(lines) + price > MAX_AMOUNT)
		throw new RangeError("The sum of the cart is too large");
}
