import { contractError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import { sumOf } from "../../lib/pricing/integers.ts";
import { type RefundedPieces, refundOf, shippingRefund, taxIn } from "../../lib/pricing/refunds.ts";
import type { refund } from "./orders.contract.shapes.ts";
import { orders } from "./orders.contract.ts";
import type { StoredLine, StoredPrices } from "./orders.prices.rules.ts";
import { assertCanRefund, mergeItems, type OrderItem, type Status } from "./orders.rules.ts";

export type Refund = Infer<typeof refund>;
/** The amounts of a refund in major units. */
export type PlannedRefund = Pick<Refund, "items" | "shipping_amount" | "amount" | "tax_amount">;

interface RefundedOrder {
	readonly status: Status;
	readonly currency: string;
	readonly items: readonly StoredLine[];
	readonly priced: StoredPrices | null;
}
/** A refund that has not failed. */
type EffectiveRefund = Pick<Refund, "items" | "shipping_amount" | "tax_amount">;
export interface RefundRequest {
	readonly items: readonly OrderItem[];
	readonly shipping?: boolean;
}

/**
 * The amounts of a refund. They complete those of the earlier refunds to the share of everything
 * that is then refunded, so that refunds add up to the order's total and tax, whatever the parts,
 * their order, and the refunds that failed.
 * @throws ILLEGAL_TRANSITION, VALIDATION_ERROR, NOT_REFUNDABLE if fewer pieces remain, or if
 *   shipping is refunded or was free
 */
export function planRefund(
	order: RefundedOrder,
	earlier: readonly EffectiveRefund[],
	request: RefundRequest,
): PlannedRefund {
	assertCanRefund(order.status);
	if (request.items.length === 0 && !request.shipping)
		throw invalidField("items", "ARRAY_MIN", "Name the items to refund, or refund shipping");
	const { currency } = order;
	const major = (minor: number) => fromMinorUnits(minor, currency);
	const items = mergeItems(request.items).map(({ product_id, quantity }) => {
		const refunded = refundedPieces(earlier, product_id, currency);
		const line = order.items.find((one) => one.product_id === product_id);
		const remaining = (line?.quantity ?? 0) - refunded.pieces;
		if (!line || quantity > remaining)
			throw contractError(orders, "NOT_REFUNDABLE", { product_id, remaining }, TOO_MUCH);
		const amount = refundOf(minorLine(line, currency), quantity, refunded);
		return { product_id, quantity, amount: major(amount) };
	});
	const shipping = request.shipping ? planShippingRefund(order, earlier) : NO_REFUND;
	const planned = { items, shipping_amount: major(shipping.amount) };
	const lines = sumOf(items.map(({ amount }) => toMinorUnits(amount, currency)));
	return {
		...planned,
		amount: major(lines + shipping.amount),
		tax_amount: major(planTax(order, earlier, planned)),
	};
}
const TOO_MUCH = "The refund exceeds what remains of the order";
const NO_REFUND = { amount: 0, tax: 0 };

/** The pieces of a product that were refunded. */
function refundedPieces(
	refunds: readonly Pick<Refund, "items">[],
	product_id: string,
	currency: string,
): RefundedPieces {
	const items = refunds
		.flatMap(({ items }) => items)
		.filter((one) => one.product_id === product_id);
	return {
		pieces: sumOf(items.map(({ quantity }) => quantity)),
		amount: sumOf(items.map(({ amount }) => toMinorUnits(amount, currency))),
	};
}

/** The tax in everything that is then refunded, without that of the earlier refunds. */
function planTax(
	order: RefundedOrder,
	earlier: readonly EffectiveRefund[],
	planned: Pick<Refund, "items" | "shipping_amount">,
): number {
	const { currency } = order;
	const all = [...earlier, planned];
	const lines = order.items.map((line) =>
		taxIn(minorLine(line, currency), refundedPieces(all, line.product_id, currency).amount),
	);
	const shipping = all.some(({ shipping_amount }) => shipping_amount > 0)
		? shippingOf(order).tax
		: 0;
	const before = sumOf(earlier.map(({ tax_amount }) => toMinorUnits(tax_amount, currency)));
	return Math.max(0, sumOf(lines) + shipping - before);
}

const minorLine = (
	{ quantity, line_total, total = line_total, tax = 0 }: StoredLine,
	currency: string,
) => ({
	quantity,
	total: toMinorUnits(total, currency),
	tax: toMinorUnits(tax, currency),
});

/** The amount of shipping to refund, and its tax. */
function shippingOf({ priced, currency }: RefundedOrder) {
	const minor = (amount: number) => toMinorUnits(amount, currency);
	return priced
		? shippingRefund({
				prices_include_tax: priced.prices_include_tax,
				shipping_amount: minor(priced.shipping_amount),
				shipping_discount: minor(priced.shipping_discount),
				shipping_tax: minor(priced.shipping_tax),
			})
		: NO_REFUND;
}

function planShippingRefund(
	order: RefundedOrder,
	earlier: readonly Pick<Refund, "shipping_amount">[],
) {
	const refund = shippingOf(order);
	if (refund.amount === 0 || earlier.some(({ shipping_amount }) => shipping_amount > 0))
		throw contractError(orders, "NOT_REFUNDABLE", { shipping: true, remaining: 0 }, TOO_MUCH);
	return refund;
}
