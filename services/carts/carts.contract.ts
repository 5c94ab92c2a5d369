import { address } from "../../lib/contracts/address.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object } from "../../lib/contracts/schema.ts";
import { MAX_COUPONS } from "../../lib/pricing/limits.ts";
import { order, placementErrors } from "../orders/orders.contract.shapes.ts";
import {
	cart,
	cartPreview,
	coupon_code,
	currency,
	email,
	id,
	MAX_LINES,
	MAX_QUANTITY,
	shipping_method,
} from "./carts.contract.shapes.ts";

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
			strict: "guests",
			secret: true,
			status: 201,
			params: {
				currency: {
					...currency,
					optional: true,
					description: "By default that of the lines, or EUR without lines",
				},
			},
			returns: object(cart),
		},
		preview: {
			summary: "Calculate the prices of a cart that is not stored",
			rest: "POST /carts/preview",
			repeatable: "nothing is stored",
			auth: "admin",
			bulkhead: { concurrency: 4, queue: 50 },
			params: {
				lines: list(
					object({
						product_id: { type: "uuid" },
						quantity: { type: "number", integer: true, min: 1, max: MAX_QUANTITY },
					}),
					{ min: 1, max: MAX_LINES },
				),
				currency: {
					...currency,
					optional: true,
					description: "By default that of the first product",
				},
				shipping_address: { ...object(address), optional: true },
				shipping_method: { ...shipping_method, optional: true },
				coupon_codes: { ...list(coupon_code, { max: MAX_COUPONS }), optional: true },
				user_id: { type: "uuid", optional: true, description: "The customer" },
				email: { ...email, optional: true, description: "Of a guest" },
			},
			returns: object(cartPreview),
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
				quantity: { type: "number", integer: true, min: 0, max: MAX_QUANTITY },
			},
			returns: object(cart),
			throws: [
				"CART_NOT_FOUND",
				"CART_NOT_OPEN",
				"CART_FULL",
				"PRODUCT_NOT_FOUND",
				"CHOOSE_VARIANT",
				"MIXED_CURRENCIES",
				"ORDER_TOO_LARGE",
				"PRECONDITION_FAILED",
			],
		},
		update: {
			summary: "Change e-mail address, addresses, shipping method or coupons of a cart",
			rest: "PATCH /carts/:id",
			auth: "anyone",
			...token,
			guesses: ["COUPON_UNKNOWN"],
			etag: true,
			params: {
				...id,
				email: { ...email, nullable: true, optional: true },
				shipping_address: { ...object(address), nullable: true, optional: true },
				billing_address: { ...object(address), nullable: true, optional: true },
				shipping_method: { ...shipping_method, nullable: true, optional: true },
				coupon_codes: { ...list(coupon_code, { max: MAX_COUPONS }), optional: true },
			},
			returns: object(cart),
			throws: [
				"CART_NOT_FOUND",
				"CART_NOT_OPEN",
				"COUPON_UNKNOWN",
				"METHOD_UNAVAILABLE",
				"PRECONDITION_FAILED",
			],
		},
		claim: {
			summary: "Merge a guest's cart into the open cart of the account",
			rest: "POST /carts/:id/claim",
			repeatable: "a cart is merged once",
			auth: "user",
			...token,
			params: id,
			returns: object(cart),
			throws: ["CART_NOT_FOUND", "CART_NOT_OPEN", "MIXED_CURRENCIES"],
		},
		checkout: {
			summary: "Place the order of a cart once, if its total is at most `expected_total`",
			rest: "POST /carts/:id/checkout",
			auth: "anyone",
			...token,
			guesses: ["PAYMENT_DECLINED", "COUPON_UNKNOWN"],
			etag: "if-match",
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
				"CART_NOT_OPEN",
				"CART_COMPLETED",
				"CART_EMPTY",
				"EMAIL_REQUIRED",
				"ADDRESS_REQUIRED",
				"PRICE_CHANGED",
				"COUPON_UNKNOWN",
				"COUPON_USED_UP",
				"METHOD_UNAVAILABLE",
				"PRODUCT_NOT_FOUND",
				"CHOOSE_VARIANT",
				"MIXED_CURRENCIES",
				"OUT_OF_STOCK",
				"PAYMENT_DECLINED",
				"PAYMENT_EXPIRED",
				"UNDELIVERABLE",
				"ORDER_CANCELLED",
				"ORDER_TOO_LARGE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
				"PRECONDITION_FAILED",
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
			throws: ["CART_NOT_FOUND", "CART_NOT_OPEN", "PRECONDITION_FAILED"],
		},
	},
	events: {
		"cart.completed": { cart_id: { type: "uuid" }, order_id: { type: "uuid" } },
	},
	errors: {
		...placementErrors,
		CART_NOT_FOUND: { status: 404, message: "Cart not found" },
		CART_NOT_OPEN: { status: 409, message: "The cart is being checked out or is completed" },
		CART_COMPLETED: { status: 409, message: "The cart is completed" },
		CART_EMPTY: { status: 409, message: "The cart is empty" },
		CART_FULL: { status: 409, message: "A cart cannot contain more than 100 products" },
		EMAIL_REQUIRED: { status: 409, message: "A guest needs an e-mail address to order" },
		PRICE_CHANGED: { status: 409, message: "The total is higher than expected" },
		COUPON_UNKNOWN: { status: 422, message: "The coupon code is unknown or has expired" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		carts: typeof carts;
	}
}
