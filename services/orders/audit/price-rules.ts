import { toSmallestUnits } from "../../../lib/money/currency.ts";
import type { AuditedOrder, Finding, OrderRecords } from "./records.ts";

const sum = <T>(all: readonly T[], amountOf: (one: T) => number): number =>
	all.reduce((total, one) => total + toSmallestUnits(amountOf(one)), 0);

/** Compares the total of an order with its parts: lines, discounts, shipping and tax. */
export function* checkPrices({ items, total_amount, priced }: AuditedOrder): Iterable<Finding> {
	const { shipping_amount = 0, shipping_discount = 0, shipping_tax = 0 } = priced ?? {};
	const { prices_include_tax = true } = priced ?? {};
	const lines = sum(items, ({ line_total, total = line_total }) => total);
	const shipping = toSmallestUnits(shipping_amount) - toSmallestUnits(shipping_discount);
	const added = prices_include_tax ? 0 : toSmallestUnits(shipping_tax);
	const total = toSmallestUnits(total_amount);
	if (lines + shipping + added !== total)
		yield ["WRONG_TOTAL", `lines and shipping do not add up to the total of ${total_amount}`];
	if (!priced) return;
	const { subtotal, discount_amount, tax_amount, adjustments, taxes } = priced;
	const is = (amount: number, expected: number) => toSmallestUnits(amount) === expected;
	const discounts = sum(items, ({ discount = 0 }) => discount) + toSmallestUnits(shipping_discount);
	const tax = sum(items, (line) => line.tax ?? 0) + toSmallestUnits(shipping_tax);
	if (
		!is(
			subtotal,
			sum(items, ({ line_total }) => line_total),
		)
	)
		yield ["WRONG_TOTAL", `the lines do not add up to the subtotal of ${subtotal}`];
	if (!is(discount_amount, discounts) || sum(adjustments, ({ amount }) => amount) !== discounts)
		yield ["WRONG_TOTAL", `the promotions do not add up to the discount of ${discount_amount}`];
	if (!is(tax_amount, tax) || sum(taxes, ({ amount }) => amount) !== tax)
		yield ["WRONG_TOTAL", `the taxes do not add up to ${tax_amount}`];
}

/** Compares the refunds of lines with the payment, which an operator may refund as well. */
export function* checkLineRefunds({ order, payment }: OrderRecords): Iterable<Finding> {
	const { refunded = 0, currency = "" } = order ?? {};
	if (toSmallestUnits(refunded) > toSmallestUnits(payment?.refunded_amount ?? 0))
		yield [
			"REFUND_MISSING",
			`${refunded} ${currency} was refunded for lines, ` +
				`but only ${payment?.refunded_amount ?? 0} by the payment`,
		];
}

/** Compares the promotions of an order without an open saga with their redemptions. */
export function* checkRedemption({ order, redemption }: OrderRecords): Iterable<Finding> {
	const isRedeemed = redemption?.status === "redeemed";
	if (!order) {
		if (isRedeemed)
			yield ["REDEMPTION_WITHOUT_ORDER", "promotions are used by an order that does not exist"];
		return;
	}
	if (order.saga_state === "stuck") return;
	if (order.status === "cancelled") {
		if (isRedeemed) yield ["CANCELLED_BUT_REDEEMED", "the uses of promotions were not returned"];
		return;
	}
	const expected = usesText(order.priced?.adjustments ?? []);
	const found = usesText(isRedeemed ? redemption.uses : []);
	if (expected !== found)
		yield [
			"WRONG_REDEMPTION",
			`the order has the promotions "${expected}", but "${found}" are redeemed`,
		];
}

const usesText = (uses: readonly { promotion_id: string; amount: number }[]): string =>
	uses
		.map(({ promotion_id, amount }) => `${promotion_id} ${amount}`)
		.sort()
		.join();
