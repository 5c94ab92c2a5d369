import { isAmount, shareOf } from "./integers.ts";
import type { PricedCart, PricedLine } from "./pricing.ts";

/** An amount in minor units, and the tax in it. */
export interface Refund {
	readonly amount: number;
	readonly tax: number;
}

/** Pieces of a line that were refunded, and their amount in minor units. */
export interface RefundedPieces {
	readonly pieces: number;
	readonly amount: number;
}

/**
 * Amount of a refund of `pieces` more pieces of a line: the share of all pieces that are then
 * refunded, rounded half up, without the amount of the earlier ones. Refunds of any number of
 * pieces in any order therefore add up to the line's total, also if some of them failed and are
 * repeated.
 * @param refunded without failed refunds
 * @throws {RangeError} if the line does not have so many pieces
 */
export function refundOf(
	{ quantity, total }: Pick<PricedLine, "quantity" | "total">,
	pieces: number,
	refunded: RefundedPieces,
): number {
	if (!isAmount(pieces) || !isAmount(refunded.pieces) || pieces + refunded.pieces > quantity)
		throw new RangeError(`Cannot refund ${refunded.pieces} and ${pieces} of ${quantity} pieces`);
	return Math.max(0, shareOf(total, refunded.pieces + pieces, quantity) - refunded.amount);
}

/** Tax in a refunded amount of a line, which never exceeds the amount. */
export const taxIn = ({ total, tax }: Pick<PricedLine, "total" | "tax">, amount: number): number =>
	total === 0 ? 0 : shareOf(tax, amount, total);

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
