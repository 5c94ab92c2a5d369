import { isAmount } from "./integers.ts";
import { type PricingInput, type PricingPromotion, subtotalOf, type TaxRate } from "./pricing.ts";

/** Maximum of subtotal and shipping in minor units: the total with tax is then a safe integer. */
const MAX_AMOUNT = 2 ** 52;

/**
 * Rejects data that no contract allows, before it becomes a wrong amount.
 * @throws {RangeError}
 */
export function assertValid({ lines, shipping, tax, promotions }: PricingInput): void {
	if (tax.lines.length !== lines.length)
		throw new RangeError(`${tax.lines.length} tax rates for ${lines.length} lines`);
	for (const { product_id, unit_price, quantity } of lines)
		if (!isAmount(unit_price) || !isAmount(quantity) || quantity === 0)
			throw new RangeError(`Price ${unit_price} × ${quantity} of ${product_id} is invalid`);
	for (const rate of tax.lines) assertRate(rate);
	assertRate(tax.shipping);
	const price = shipping?.price ?? 0;
	if (!isAmount(price)) throw new RangeError(`Shipping price ${price} is invalid`);
	if (!(subtotalOf(lines) + price <= MAX_AMOUNT))
		throw new RangeError("The sum of the cart is too large");
	for (const promotion of promotions)
		if (!isValid(promotion)) throw new RangeError(`Promotion ${promotion.id} is invalid`);
}

function assertRate(rate: TaxRate | null): void {
	if (rate && !(rate.rate >= 0 && rate.rate <= 1))
		throw new RangeError(`Tax rate ${rate.rate} is not between 0 and 1`);
}

function isValid({ effect, max_discount = 0 }: PricingPromotion): boolean {
	if (!Number.isSafeInteger(max_discount)) return false;
	switch (effect.type) {
		case "percent_off":
			return effect.value >= 0 && effect.value <= 100;
		case "amount_off":
			return isAmount(effect.value);
		case "buy_x_get_y":
			return isAmount(effect.buy) && isAmount(effect.get) && effect.buy + effect.get > 0;
		case "free_shipping":
			return true;
	}
}
