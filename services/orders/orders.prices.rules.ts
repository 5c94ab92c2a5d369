import { fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import type { Line, Order, PricedOrder } from "./orders.rules.ts";

/** A line of an order without discounts and tax: all amounts follow from the price. */
type PlainLine = Pick<Line, "product_id" | "name" | "quantity" | "unit_price" | "line_total">;
type PricedLine = PricedOrder["lines"][number];
/** A line as the order's row contains it. Without discounts and tax, their fields are missing. */
export type StoredLine = PlainLine &
	Partial<Pick<PricedLine, "discount" | "tax" | "total" | "tax_rate">>;
/** The members of a priced order that have no column of their own. */
export type StoredPrices = Omit<PricedOrder, "lines" | "currency" | "total_amount">;

/** An order as its row contains it. */
export interface StoredOrder extends Pick<Order, StoredField> {
	readonly items: readonly StoredLine[];
}
type StoredField =
	| "id"
	| "user_id"
	| "email"
	| "status"
	| "total_amount"
	| "currency"
	| "cancellation_reason"
	| "payment"
	| "created_at"
	| "updated_at";
/** Data of an order that do not change. */
export interface OrderDetails {
	/** Null without discounts, shipping costs, tax and structured addresses. */
	readonly priced: StoredPrices | null;
	/** The address as text. */
	readonly shipping_address: string | null;
}

/** The order as the API returns it. */
export function toOrder(
	{ items, ...order }: StoredOrder,
	{ priced, shipping_address }: OrderDetails,
): Order {
	const prices = priced ?? plainPrices(order.total_amount);
	return {
		...order,
		items: items.map(toLine),
		subtotal: prices.subtotal,
		discount_amount: prices.discount_amount,
		shipping_amount: prices.shipping_amount,
		tax_amount: prices.tax_amount,
		prices_include_tax: prices.prices_include_tax,
		shipping_method: prices.shipping_method,
		shipping_address: prices.shipping_address ?? shipping_address,
		billing_address: prices.billing_address,
		coupon_codes: prices.coupon_codes,
	};
}
const toLine = ({
	product_id,
	name,
	quantity,
	unit_price,
	line_total,
	discount = 0,
	tax = 0,
	total = line_total,
}: StoredLine): Line => ({
	product_id,
	name,
	quantity,
	unit_price,
	line_total,
	discount,
	tax,
	total,
});

/** Decisions of the price calculation, for the details of an order. */
export function breakdownOf(priced: StoredPrices | null) {
	const { adjustments, shipping_discount, shipping_tax, shipping_tax_rate, taxes } =
		priced ?? plainPrices(0);
	return { adjustments, shipping_discount, shipping_tax, shipping_tax_rate, taxes };
}

/** Prices of an order whose total is the sum of its lines. */
const plainPrices = (subtotal: number): StoredPrices => ({
	email: null,
	prices_include_tax: true,
	adjustments: [],
	shipping_method: null,
	shipping_amount: 0,
	shipping_discount: 0,
	shipping_tax: 0,
	shipping_tax_rate: null,
	taxes: [],
	subtotal,
	discount_amount: 0,
	tax_amount: 0,
	shipping_address: null,
	billing_address: null,
	coupon_codes: [],
});

/** Divides a priced order into its columns. */
export function toStored({ lines, currency, total_amount, ...priced }: PricedOrder): {
	items: StoredLine[];
	currency: string;
	total_amount: number;
	priced: StoredPrices;
} {
	const items = lines.map(
		({ product_id, name, quantity, unit_price, discount, tax, total, tax_rate }) => ({
			product_id,
			name,
			quantity,
			unit_price,
			line_total: fromMinorUnits(toMinorUnits(unit_price, currency) * quantity, currency),
			discount,
			tax,
			total,
			tax_rate,
		}),
	);
	return { items, currency, total_amount, priced };
}
