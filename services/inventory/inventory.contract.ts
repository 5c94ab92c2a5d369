import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, pick, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";

const product_id = { product_id: { type: "uuid" } } as const;
const quantity = { type: "number", integer: true, min: 1, max: 1_000_000 } as const;
export const MAX_ON_HAND = 1_000_000_000;
/** What the books say, right or wrong. */
const count = { type: "number", integer: true } as const;
const on_hand = { type: "number", integer: true, min: 0, max: MAX_ON_HAND } as const;

export const stock = shape({
	...product_id,
	on_hand,
	reserved: { type: "number", integer: true, min: 0 },
	available: { type: "number", integer: true, min: 0, description: "on_hand less reserved" },
});
/** Each product once; the lines that were asked for are added up. */
const reservation = shape({
	order_id: { type: "uuid" },
	items: list(object({ ...product_id, quantity: { type: "number", integer: true } })),
});

export const inventory = contract({
	name: "inventory",
	actions: {
		...eventActions,
		get: {
			summary: "Stock of a product",
			rest: "GET /inventory/:product_id",
			auth: "anyone",
			params: product_id,
			returns: object(stock),
			throws: ["STOCK_NOT_FOUND"],
			retry: true,
		},
		set: {
			summary: "Set what is on hand; never below what is reserved",
			rest: "PUT /inventory/:product_id",
			auth: "admin",
			params: { ...product_id, on_hand },
			returns: object(stock),
			throws: ["STOCK_NOT_FOUND", "STOCK_TOO_LOW"],
		},
		adjust: {
			summary: "Add to or take from what is on hand",
			rest: "POST /inventory/:product_id/adjustments",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: {
				...product_id,
				delta: { type: "number", integer: true, min: -MAX_ON_HAND, max: MAX_ON_HAND },
				reason: { type: "string", min: 1, max: 500, trim: true },
			},
			returns: object(stock),
			throws: [
				"STOCK_NOT_FOUND",
				"STOCK_TOO_LOW",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		/** Opens the books of a new product; again is no error and changes nothing. */
		open: { params: { ...product_id, on_hand }, returns: object(stock) },
		/**
		 * All lines of an order or none, first come, first served. Refuses with OUT_OF_STOCK, whose detail is the product's id and whose data are
		 * `product_id` and `available`, or with RELEASED what was released, also before it was reserved.
		 */
		reserve: command("Hold stock for orders", {
			items: list(object({ ...product_id, quantity }), { min: 1, max: 100 }),
		}),
		/**
		 * Gives back what an order holds; an order that holds nothing leaves a tombstone, which refuses a late `reserve`. Refuses with
		 * FULFILLED what was shipped.
		 */
		release: command("Give held stock back", {}),
		/** For the audit: the books of products in the order of their ids, and what reservations hold of each, all at one moment. */
		auditStock: {
			params: pick(range, "after", "limit"),
			returns: list(object({ ...product_id, on_hand: count, reserved: count, held: count })),
			retry: true,
			divide: { range: "product_id" },
		},
		/** For the audit: all reservations and tombstones in a range of orders. */
		auditReservations: {
			params: range,
			returns: list(
				object({
					order_id: { type: "uuid" },
					status: { type: "enum", values: ["held", "released", "fulfilled"] },
					items: list(object({ ...product_id, quantity: count })),
				}),
			),
			retry: true,
			divide: { range: "order_id" },
		},
		history,
	},
	events: {
		"inventory.reserved": reservation,
		"inventory.released": { order_id: { type: "uuid" } },
		"inventory.adjusted": {
			...product_id,
			delta: { type: "number", integer: true },
			on_hand,
			reason: { type: "string" },
		},
	},
	errors: {
		STOCK_NOT_FOUND: { status: 404, message: "There is no stock record of this product" },
		STOCK_TOO_LOW: { status: 409, message: "On hand cannot be less than what is reserved" },
		OUT_OF_STOCK: { status: 409, message: "Not enough stock" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		inventory: typeof inventory;
	}
}
