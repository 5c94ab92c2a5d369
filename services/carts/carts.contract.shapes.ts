import { address } from "../../lib/contracts/address.ts";
import { currencyCode } from "../../lib/contracts/codes.ts";
import { list, object, pick, shape } from "../../lib/contracts/schema.ts";
import { pricedOrder } from "../orders/orders.contract.shapes.ts";

export const id = { id: { type: "uuid" } } as const;
export const MAX_LINES = 100;
export const MAX_QUANTITY = 1000;
const money = { type: "money" } as const;
const nullable = { nullable: true } as const;

export const currency = currencyCode;
export const email = { type: "email", max: 254, normalize: true } as const;
export const coupon_code = {
	type: "string",
	min: 1,
	max: 40,
	pattern: "^[A-Za-z0-9_-]+$",
	example: "SUMMER10",
} as const;
export const shipping_method = { type: "string", min: 1, max: 40, example: "standard" } as const;

const line = shape({
	product_id: { type: "uuid" },
	name: { type: "string" },
	options: { type: "any", nullable: true, description: "Of a variant" },
	quantity: { type: "number", integer: true },
	unit_price: { ...money, description: "0 if the product cannot be ordered, see `problems`" },
	subtotal: money,
	discount: money,
	tax: money,
	total: money,
	available: {
		type: "number",
		integer: true,
		nullable: true,
		description: "Stock on hand that no order has reserved; null if the stock is unknown",
	},
});
/** A unit price that differs from the one that the buyer last saw. */
const change = shape({
	product_id: { type: "uuid" },
	from: { ...money, ...nullable, description: "Null if the product could not be ordered" },
	to: { ...money, ...nullable, description: "Null if the product can no longer be ordered" },
});
/**
 * Conditions that prevent the checkout. Of a line, with `product_id`:
 * - PRODUCT_NOT_FOUND: the product is no longer in the catalogue.
 * - CHOOSE_VARIANT: the product has variants now.
 * - CURRENCY_CHANGED: the product has a price in another currency now.
 * - ORDER_TOO_LARGE: with this line, the cart exceeds the largest amount.
 * - OUT_OF_STOCK: the stock is less than the quantity. The checkout decides, by the stock at its
 *   time.
 *
 * Of the cart:
 * - EMAIL_REQUIRED: a guest has entered no e-mail address.
 * - ADDRESS_REQUIRED: shipping or tax depends on the address, and there is none.
 * - UNDELIVERABLE: no shipping method delivers the cart.
 * - METHOD_UNAVAILABLE: the selected shipping method does not deliver the cart.
 * - COUPON_UNKNOWN, with `coupon_code`: the coupon has ended.
 * - COUPON_USED_UP, with `coupon_code`: the coupon is used up, or this customer has used it up.
 */
const problem = shape({
	code: {
		type: "enum",
		values: [
			"PRODUCT_NOT_FOUND",
			"CHOOSE_VARIANT",
			"CURRENCY_CHANGED",
			"ORDER_TOO_LARGE",
			"OUT_OF_STOCK",
			"EMAIL_REQUIRED",
			"ADDRESS_REQUIRED",
			"UNDELIVERABLE",
			"METHOD_UNAVAILABLE",
			"COUPON_UNKNOWN",
			"COUPON_USED_UP",
		],
	},
	product_id: { type: "uuid", ...nullable },
	coupon_code: { type: "string", optional: true },
});

export const cart = shape({
	...id,
	token: {
		type: "string",
		optional: true,
		description: "Secret of a guest's cart, only in the response that creates it",
	},
	status: {
		type: "enum",
		values: ["open", "completing", "completed", "expired"],
		description:
			"`completing`: an order is being placed. `expired`: merged into another cart of the account",
	},
	user_id: { type: "uuid", ...nullable, description: "Null for the cart of a guest" },
	currency,
	email: { type: "string", ...nullable, description: "Of a user, null for that of the account" },
	shipping_address: { ...object(address), ...nullable },
	billing_address: { ...object(address), ...nullable },
	lines: list(object(line)),
	adjustments: list(
		object({
			promotion_id: { type: "uuid" },
			name: { type: "string" },
			code: { type: "string", ...nullable },
			amount: money,
		}),
		{ description: "Promotions that discount the cart" },
	),
	coupon_codes: list({ type: "string" }),
	shipping_method: {
		type: "string",
		...nullable,
		description: "Code of the selected method, otherwise of the first that delivers the cart",
	},
	shipping_methods: list(
		object({ code: { type: "string" }, name: { type: "string" }, price: money }),
		{ description: "Methods that deliver the cart, by position" },
	),
	shipping_amount: { ...money, description: "Before discounts" },
	taxes: list(object({ name: { type: "string" }, rate: { type: "number" }, amount: money })),
	subtotal: { ...money, description: "Sum of the lines before discounts" },
	discount_amount: money,
	tax_amount: money,
	total_amount: {
		...money,
		description:
			"`subtotal` − `discount_amount` + `shipping_amount`, " +
			"+ `tax_amount` unless `prices_include_tax`",
	},
	prices_include_tax: { type: "boolean" },
	estimated: {
		type: "boolean",
		description:
			"Whether tax, shipping or promotions are unavailable, so that their last known values apply",
	},
	changes: list(object(change), {
		description: "Unit prices that changed since the buyer last read the cart",
	}),
	problems: list(object(problem), { description: "Conditions that prevent the checkout" }),
	order_id: { type: "uuid", ...nullable },
	cancellation_reason: {
		type: "string",
		...nullable,
		description: "Why the order of the last checkout was cancelled",
	},
	expires_at: { type: "time" },
	updated_at: { type: "time" },
});

/** The prices of a cart that is not stored. */
export const cartPreview = shape(
	pick(
		cart,
		...(["currency", "lines", "adjustments", "coupon_codes", "shipping_method"] as const),
		...(["shipping_methods", "shipping_amount", "taxes", "subtotal", "discount_amount"] as const),
		...(["tax_amount", "total_amount", "prices_include_tax", "estimated", "problems"] as const),
	),
);

/** Parameters of `orders.place`, as the row of a cart keeps them. */
export const placeRequest = shape({
	order_id: { type: "uuid" },
	user_id: { type: "uuid", nullable: true },
	payment_token: { type: "string" },
	priced: object(pricedOrder),
});
