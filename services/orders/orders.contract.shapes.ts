import { address } from "../../lib/contracts/address.ts";
import { currencyCode } from "../../lib/contracts/codes.ts";
import { list, object, pick, shape } from "../../lib/contracts/schema.ts";
import { MAX_ADJUSTMENTS, MAX_COUPONS } from "../../lib/pricing/limits.ts";

export const id = { id: { type: "uuid" } } as const;
export const count = { type: "number", integer: true } as const;
export const quantity = { ...count, min: 1, max: 1000 } as const;
export const reason = { type: "string", min: 1, max: 500, trim: true } as const;
export const status = {
	type: "enum",
	values: ["pending", "confirmed", "shipped", "delivered", "cancelled"],
} as const;

const money = { type: "money" } as const;
const line = shape({
	product_id: { type: "uuid" },
	name: { type: "string" },
	quantity: { ...count, min: 1 },
	unit_price: money,
	line_total: { ...money, description: "Unit price × quantity, before discounts" },
	discount: { ...money, description: "Share of all discounts" },
	tax: { ...money, description: "Included in `total`" },
	total: { ...money, description: "Charged amount" },
});
/** The payment that an order waits for. */
export const pendingPayment = shape({
	status: {
		type: "enum",
		values: ["requires_action", "processing"],
		description:
			"`requires_action`: the buyer has to confirm the payment by `expires_at`. " +
			"`processing`: the bank decides, which can take days",
	},
	client_secret: {
		type: "string",
		optional: true,
		description: "For the payment provider's client library",
	},
	redirect_url: {
		type: "string",
		optional: true,
		description: "Page on which the buyer confirms the payment",
	},
	expires_at: { type: "time", nullable: true },
});
const method = object({ code: { type: "string" }, name: { type: "string" } });
export const order = shape({
	...id,
	user_id: { type: "uuid", nullable: true, description: "Null for the order of a guest" },
	email: {
		type: "string",
		nullable: true,
		description:
			"Address of a guest, to which messages are sent, or contact address of a user, whose " +
			"messages go to the address of the account; null if there is none",
	},
	status,
	items: list(object(line)),
	subtotal: { ...money, description: "Sum of the lines before discounts" },
	discount_amount: money,
	shipping_amount: { ...money, description: "Before discounts" },
	tax_amount: money,
	total_amount: {
		...money,
		description:
			"`subtotal` − `discount_amount` + `shipping_amount`, " +
			"+ `tax_amount` unless `prices_include_tax`",
	},
	currency: { type: "string" },
	prices_include_tax: { type: "boolean" },
	shipping_method: { ...method, nullable: true },
	shipping_address: {
		type: "multi",
		rules: [{ type: "string" }, object(address)],
		nullable: true,
		description: "As it was entered: text, or a structured address",
	},
	billing_address: { ...object(address), nullable: true },
	coupon_codes: list({ type: "string" }),
	cancellation_reason: { type: "string", nullable: true },
	payment: {
		...object(pendingPayment),
		nullable: true,
		description: "The payment that the order waits for; null if it waits for none",
	},
	created_at: { type: "time" },
	updated_at: { type: "time" },
});
const taxRate = shape({ name: { type: "string" }, rate: { type: "number" } });
/** Decisions of the price calculation, apart from the lines and their sums. */
const breakdown = shape({
	adjustments: list(
		object({
			promotion_id: { type: "uuid" },
			name: { type: "string" },
			code: { type: "string", nullable: true },
			amount: money,
		}),
		{ max: MAX_ADJUSTMENTS, description: "Promotions that discount the order" },
	),
	shipping_discount: money,
	shipping_tax: money,
	shipping_tax_rate: { ...object(taxRate), nullable: true },
	taxes: list(object({ ...taxRate, amount: money }), { max: 200 }),
});
/** A refund of pieces of an order's lines, and of shipping. */
export const refund = shape({
	...id,
	items: list(
		object({
			product_id: { type: "uuid" },
			quantity: count,
			amount: { ...money, description: "Share of the line's total, with its tax" },
		}),
	),
	shipping_amount: { ...money, description: "Refund of shipping, with its tax" },
	amount: { ...money, description: "Sum of all parts" },
	tax_amount: { ...money, description: "Tax in `amount`" },
	reason: { type: "string", nullable: true },
	status: {
		type: "enum",
		values: ["requested", "done", "failed"],
		description: "`done`: the payment provider pays it. `failed`: its pieces can be refunded again",
	},
	created_at: { type: "time" },
});
export const refundedOrder = shape({
	...order,
	refunds: list(object(refund), { description: "Oldest first" }),
});
/** An order as messages to its buyer show it. */
export const orderSummary = shape({
	...pick(
		order,
		...(["id", "user_id", "email", "items", "subtotal", "discount_amount"] as const),
		...(["shipping_amount", "tax_amount", "total_amount", "currency"] as const),
		...(["prices_include_tax", "shipping_method", "coupon_codes"] as const),
		...(["shipping_address", "billing_address"] as const),
	),
	...pick(breakdown, "adjustments", "taxes"),
});
/** An order with its user and products; null if their service is unavailable. */
export const enrichedOrder = shape({
	...refundedOrder,
	...breakdown,
	items: list(object({ ...line, product: { type: "any", nullable: true } })),
	user: { type: "any", nullable: true },
});

export const timelineEntry = shape({
	time: { type: "time" },
	/** The service that reports the entry. */
	source: { type: "string" },
	/**
	 * `retry`: the handler of an event or a step of the order's saga failed. The event is delivered
	 * again, or the step repeated, unless the `state` is `dead`.
	 */
	kind: { type: "enum", values: ["event", "step", "compensation", "message", "retry"] },
	name: { type: "string" },
	detail: { type: "any", nullable: true },
	trace_id: { type: "string", nullable: true },
});
export const timeline = shape({
	order_id: { type: "uuid" },
	status,
	/** Saga runs so far: each takeover by another node and each cancellation adds one. */
	attempts: count,
	entries: list(object(timelineEntry)),
	/** Services that could not be reached. */
	incomplete: list({ type: "string" }),
});

/**
 * A priced order, as a cart requests it and as the order keeps it: the result of `priceCart`
 * (lib/pricing) in major units, with names.
 */
export const pricedOrder = shape({
	email: { type: "string", nullable: true },
	currency: currencyCode,
	prices_include_tax: { type: "boolean" },
	lines: list(
		object({
			product_id: { type: "uuid" },
			name: { type: "string" },
			quantity,
			unit_price: money,
			discount: money,
			tax: money,
			total: money,
			tax_rate: { ...object(taxRate), nullable: true },
		}),
		{ min: 1, max: 100 },
	),
	...breakdown,
	shipping_method: { ...method, nullable: true },
	shipping_amount: money,
	subtotal: money,
	discount_amount: money,
	tax_amount: money,
	total_amount: money,
	shipping_address: { ...object(address), nullable: true },
	billing_address: { ...object(address), nullable: true },
	coupon_codes: list({ type: "string" }, { max: MAX_COUPONS }),
});

const ifPriced = {
	optional: true,
	description: "Only of an order with discounts, shipping costs or tax",
} as const;
/** Data of an order event. */
export const orderEvent = shape({
	order_id: { type: "uuid" },
	user_id: { type: "uuid", nullable: true, description: "Null for the order of a guest" },
	total_amount: money,
	currency: { type: "string" },
	email: { type: "string", optional: true, description: "Of an order with its own address" },
	subtotal: { ...money, ...ifPriced },
	discount_amount: { ...money, ...ifPriced },
	shipping_amount: { ...money, ...ifPriced },
	tax_amount: { ...money, ...ifPriced },
});

/** Reasons why an order is not placed or is cancelled at once, with or without a cart. */
export const placementErrors = {
	ADDRESS_REQUIRED: { status: 409, message: "A shipping address with its country is required" },
	CHOOSE_VARIANT: { status: 409, message: "The product has variants: order one of them" },
	COUPON_USED_UP: { status: 409, message: "A promotion of the order is used up" },
	METHOD_UNAVAILABLE: {
		status: 409,
		message: "The shipping method does not deliver to this address",
	},
	MIXED_CURRENCIES: { status: 409, message: "An order cannot contain several currencies" },
	ORDER_CANCELLED: { status: 409, message: "The order was cancelled" },
	ORDER_TOO_LARGE: { status: 409, message: "The order's total exceeds the maximum amount" },
	OUT_OF_STOCK: { status: 409, message: "Not enough stock" },
	PRODUCT_NOT_FOUND: { status: 404, message: "Product not found" },
	UNDELIVERABLE: { status: 409, message: "The shop does not deliver to this address" },
} as const;
