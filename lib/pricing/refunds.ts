import { isAmount, shareOf } from "./integers.ts";
import type { PricedCart, PricedLine } from "./pricing.ts";

/** An amount in minor units, and the tax in it. */
export interface Refund {
	readonly amount: number;
	readonly tax: number;
}

/**
 * Refund of `pieces` more pieces of a line of which `refunded` pieces are refunded: the difference
 * of two cumulative shares, each rounded half up. Refunds of any number of pieces in any order
 * therefore add up to the line's total and tax.
 * @throws {RangeError} if the line does not have so many pieces
 */
export function refundOf(
	line: Pick<PricedLine, "quantity" | "total" | "tax">,
	pieces: number,
	refunded: number,
): Refund {
	if (!isAmount(pieces) || !isAmount(refunded) || pieces + refunded > line.quantity)
		throw new RangeError(`Cannot refund ${refunded} and ${pieces} of ${line.quantity} pieces`);
	const before = cumulativeRefund(line, refunded);
	const after = cumulativeRefund(line, refunded + pieces);
	return { amount: after.amount - before.amount, tax: after.tax - before.tax };
}

/** The tax is a share of the refunded amount, so that it never exceeds that. */
function cumulativeRefund(
	{ quantity, total, tax }: Pick<PricedLine, "quantity" | "total" | "tax">,
	pieces: number,
): Refund {
	const amount = shareOf(total, pieces, quantity);
	return { amount, tax: total === 0 ? 0 : shareOf(tax, amount, total) };
}

/** Refund of shipping. With all lines, it adds up to the total of the cart. */
export function shippingRefund(
	cart: Pick<
		PricedCart,
		"prices_include_tax" | "shipping_amount" | "shipping_discount" | "shipping_tax"
	>,
): Refund {
	const { prices_include_tax, shipping_amount, shipping_discount, shipping_tax: tax } = cart;
	const charged = shipping_amount - shipping_discount;
	return { amount: prices_include_tax ? charged : charged + tax, tax };
}
