import { address } from "../../lib/contracts/address.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object, shape } from "../../lib/contracts/schema.ts";
import { order } from "../orders/orders.contract.shapes.ts";

const id = { id: { type: "uuid" } } as const;
const currency = {
	type: "string",
	pattern: "^[A-Z]{3}$",
	example: "EUR",
	description: "ISO 4217 code",
} as const;
const email = { type: "email", max: 254, normalize: true } as const;
const coupon_code = { type: "string", min: 1, max: 40, pattern: "^[A-Za-z0-9_-]+$" } as const;
const shipping_method = { type: "string", min: 1, max: 40 } as const;
const money = { type: "money" } as const;
const nullable = { nullable: true } as const;

const line = shape({
	product_id: { type: "uuid" },
	name: { type: "string" },
	options: { type: "any", nullable: true },
	quantity: { type: "number", integer: true },
	unit_price: money,
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
export const cart = shape({
	...id,
	token: {
		type: "string",
		optional: true,
		description: "Secret of a guest's cart, only in the response that creates it",
	},
	status: { type: "enum", values: ["open", "completing", "completed", "expired"] },
	user_id: { type: "uuid", nullable: true },
	currency,
	email: { type: "string", nullable: true },
	shipping_address: { ...object(address), ...nullable },
	billing_address: { ...object(address), ...nullable },
	lines: list(object(line)),
	adjustments: list(
		object({
			promotion_id: { type: "uuid" },
			name: { type: "string" },
			code: { type: "string", nullable: true },
			amount: money,
		}),
	),
	coupon_codes: list({ type: "string" }),
	shipping_method: { type: "string", nullable: true },
	shipping_methods: {
		...list(object({ code: { type: "string" }, name: { type: "string" }, price: money })),
		description: "Methods that deliver the cart",
	},
	shipping_amount: money,
	taxes: list(object({ name: { type: "string" }, rate: { type: "number" }, amount: money })),
	subtotal: money,
	discount_amount: money,
	tax_amount: money,
	total_amount: money,
	prices_include_tax: { type: "boolean" },
	estimated: {
		type: "boolean",
		description: "True if tax, shipping or promotions could not be calculated at the moment",
	},
	changes: {
		...list(
			object({ product_id: { type: "uuid" }, from: money, to: { type: "money", nullable: true } }),
		),
		description: "Unit prices that changed since the buyer last read the cart; null: removed",
	},
	problems: {
		...list(object({ code: { type: "string" }, product_id: { type: "uuid", nullable: true } })),
		description: "Conditions that prevent the checkout",
	},
	order_id: { type: "uuid", nullable: true },
	cancellation_reason: {
		type: "string",
		nullable: true,
		description: "Why the order of the last checkout was cancelled",
	},
	expires_at: { type: "time" },
	updated_at: { type: "time" },
});
const token = { token: "Cart-Token" } as const;

export const carts = contract({
	name: "carts",
	actions: {
		...eventActions,
		create: {
			summary: "Open a cart; a signed-in user gets the open cart of the account, if there is one",
			rest: "POST /carts",
			repeatable: "an unused cart expires",
			auth: "anyone",
			status: 201,
			params: { currency: { ...currency, default: "EUR" } },
			returns: object(cart),
		},
		get: {
			summary: "Retrieve a cart at current prices",
			rest: "GET /carts/:id",
			auth: "anyone",
			...token,
			etag: true,
			params: id,
			returns: object(cart),
			throws: ["CART_NOT_FOUND"],
		},
		setLine: {
			summary: "Set the quantity of a product; 0 removes it",
			rest: "PUT /carts/:id/lines/:product_id",
			auth: "anyone",
			...token,
			etag: true,
			params: {
				...id,
				product_id: { type: "uuid" },
				quantity: { type: "number", integer: true, min: 0, max: 1000 },
			},
			returns: object(cart),
			throws: [
				"CART_NOT_FOUND",
				"CART_NOT_OPEN",
				"CART_FULL",
				"PRODUCT_NOT_FOUND",
				"CHOOSE_VARIANT",
				"MIXED_CURRENCIES",
			],
		},
		update: {
			summary: "Change e-mail address, addresses, shipping method or coupons of a cart",
			rest: "PATCH /carts/:id",
			auth: "anyone",
			...token,
			etag: true,
			params: {
				...id,
				email: { ...email, nullable: true, optional: true },
				shipping_address: { ...object(address), nullable: true, optional: true },
				billing_address: { ...object(address), nullable: true, optional: true },
				shipping_method: { ...shipping_method, nullable: true, optional: true },
				coupon_codes: { ...list(coupon_code, { max: 10 }), optional: true },
			},
			returns: object(cart),
			throws: ["CART_NOT_FOUND", "CART_NOT_OPEN", "COUPON_UNKNOWN", "METHOD_UNAVAILABLE"],
		},
		claim: {
			summary: "Merge a guest's cart into the open cart of the account",
			rest: "POST /carts/:id/claim",
			repeatable: "a cart is merged once",
			auth: "user",
			...token,
			params: id,
			returns: object(cart),
			throws: ["CART_NOT_FOUND", "CART_NOT_OPEN"],
		},
		checkout: {
			summary:
				"Place the order of a cart, if its total is at most `expected_total`; a cart completes once",
			rest: "POST /carts/:id/checkout",
			auth: "anyone",
			...token,
			status: 201,
			idempotent: true,
			params: {
				...id,
				expected_total: { type: "money" },
				payment_token: { type: "string", min: 1, max: 100, default: "tok_ok" },
				payment_method: {
					type: "string",
					min: 1,
					max: 100,
					optional: true,
					description: "Alternative name of `payment_token`",
				},
			},
			returns: object({
				...order,
				order_token: {
					type: "string",
					optional: true,
					description: "Secret of a guest's order, for the Order-Token header",
				},
			}),
			throws: [
				"CART_NOT_FOUND",
				"CART_COMPLETED",
				"CART_EMPTY",
				"EMAIL_REQUIRED",
				"ADDRESS_REQUIRED",
				"PRICE_CHANGED",
				"COUPON_USED_UP",
				"METHOD_UNAVAILABLE",
				"PRODUCT_NOT_FOUND",
				"OUT_OF_STOCK",
				"PAYMENT_DECLINED",
				"PAYMENT_EXPIRED",
				"UNDELIVERABLE",
				"ORDER_CANCELLED",
				"ORDER_TOO_LARGE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		remove: {
			summary: "Delete a cart",
			rest: "DELETE /carts/:id",
			auth: "anyone",
			...token,
			etag: true,
			status: 204,
			params: id,
			returns: { type: "any" },
			throws: ["CART_NOT_FOUND", "CART_NOT_OPEN"],
		},
	},
	events: {
		"cart.completed": { cart_id: { type: "uuid" }, order_id: { type: "uuid" } },
	},
	errors: {
		CART_NOT_FOUND: { status: 404, message: "Cart not found" },
		CART_NOT_OPEN: { status: 409, message: "The cart is being checked out or is completed" },
		CART_COMPLETED: { status: 409, message: "The cart is completed" },
		CART_EMPTY: { status: 409, message: "The cart is empty" },
		CART_FULL: { status: 409, message: "A cart cannot contain more than 100 products" },
		EMAIL_REQUIRED: { status: 409, message: "A guest needs an e-mail address to order" },
		ADDRESS_REQUIRED: { status: 409, message: "The cart needs a shipping address" },
		PRICE_CHANGED: { status: 409, message: "The total is higher than expected" },
		COUPON_UNKNOWN: { status: 422, message: "The coupon code is unknown or has expired" },
		COUPON_USED_UP: { status: 409, message: "The promotion is used up" },
		METHOD_UNAVAILABLE: {
			status: 409,
			message: "The shipping method does not deliver to this address",
		},
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		carts: typeof carts;
	}
}
