import { contractError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import { refundOf, shippingRefund } from "../../lib/pricing/refunds.ts";
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
export interface RefundRequest {
	readonly items: readonly OrderItem[];
	readonly shipping?: boolean;
}

/**
 * The amounts of a refund, of which earlier refunds that have not failed are taken into account:
 * whatever the parts and their order, they add up to the order's total.
 * @throws ILLEGAL_TRANSITION, VALIDATION_ERROR, NOT_REFUNDABLE if fewer pieces remain, or if
 *   shipping is refunded or was free
 */
export function planRefund(
	order: RefundedOrder,
	earlier: readonly Pick<Refund, "items" | "shipping_amount">[],
	request: RefundRequest,
): PlannedRefund {
	assertCanRefund(order.status);
	if (request.items.length === 0 && !request.shipping)
		throw invalidField("items", "ARRAY_MIN", "Name the items to refund, or refund shipping");
	const { currency } = order;
	const major = (minor: number) => fromMinorUnits(minor, currency);
	let [amount, tax] = [0, 0];
	const items = mergeItems(request.items).map(({ product_id, quantity }) => {
		const refunded = piecesOf(earlier, product_id);
		const line = order.items.find((one) => one.product_id === product_id);
		const remaining = (line?.quantity ?? 0) - refunded;
		if (!line || quantity > remaining)
			throw contractError(orders, "NOT_REFUNDABLE", { product_id, remaining }, TOO_MUCH);
		const part = refundOf(minorLine(line, currency), quantity, refunded);
		amount += part.amount;
		tax += part.tax;
		return { product_id, quantity, amount: major(part.amount) };
	});
	const shipping = request.shipping ? planShippingRefund(order, earlier) : NO_REFUND;
	return {
		items,
		shipping_amount: major(shipping.amount),
		amount: major(amount + shipping.amount),
		tax_amount: major(tax + shipping.tax),
	};
}
const TOO_MUCH = "The refund exceeds what remains of the order";
const NO_REFUND = { amount: 0, tax: 0 };

/** Pieces of a product that were refunded. */
const piecesOf = (refunds: readonly Pick<Refund, "items">[], product_id: string): number =>
	refunds
		.flatMap(({ items }) => items)
		.reduce((sum, item) => sum + (item.product_id === product_id ? item.quantity : 0), 0);

const minorLine = (
	{ quantity, line_total, total = line_total, tax = 0 }: StoredLine,
	currency: string,
) => ({
	quantity,
	total: toMinorUnits(total, currency),
	tax: toMinorUnits(tax, currency),
});

function planShippingRefund(
	{ priced, currency }: RefundedOrder,
	earlier: readonly Pick<Refund, "shipping_amount">[],
) {
	const minor = (amount: number) => toMinorUnits(amount, currency);
	const refund = priced
		? shippingRefund({
				prices_include_tax: priced.prices_include_tax,
				shipping_amount: minor(priced.shipping_amount),
				shipping_discount: minor(priced.shipping_discount),
				shipping_tax: minor(priced.shipping_tax),
			})
		: NO_REFUND;
	if (refund.amount === 0 || earlier.some(({ shipping_amount }) => shipping_amount > 0))
		throw contractError(orders, "NOT_REFUNDABLE", { shipping: true, remaining: 0 }, TOO_MUCH);
	return refund;
}
