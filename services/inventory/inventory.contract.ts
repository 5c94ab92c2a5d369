import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, pick, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";

const product_id = { product_id: { type: "uuid" } } as const;
const quantity = { type: "number", integer: true, min: 1, max: 1_000_000 } as const;
export const MAX_ON_HAND = 1_000_000_000;
/** Products per request of `list`. */
const MAX_LISTED = 100;
const UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
const UUIDS = `^${UUID}(?:,${UUID}){0,${MAX_LISTED - 1}}$`;
/** A count as recorded, which the audit may find to be wrong. */
const count = { type: "number", integer: true } as const;
const on_hand = { type: "number", integer: true, min: 0, max: MAX_ON_HAND } as const;

export const stock = shape({
	...product_id,
	on_hand,
	reserved: { type: "number", integer: true, min: 0 },
	available: { type: "number", integer: true, min: 0, description: "`on_hand` minus `reserved`" },
});
/** One line per product, with the total of its order lines. */
const reservation = shape({
	order_id: { type: "uuid" },
	items: list(object({ ...product_id, quantity: { type: "number", integer: true } })),
});

export const inventory = contract({
	name: "inventory",
	actions: {
		...eventActions,
		get: {
			summary: "Retrieve the stock of a product",
			rest: "GET /inventory/:product_id",
			auth: "anyone",
			params: product_id,
			returns: object(stock),
			throws: ["STOCK_NOT_FOUND"],
			retry: true,
		},
		list: {
			summary: "Retrieve the stock of several products",
			rest: "GET /inventory",
			auth: "admin",
			params: {
				product_ids: {
					type: "string",
					max: MAX_LISTED * 37 - 1,
					pattern: UUIDS,
					example: "0190a6f2-0000-7000-8000-000000000001",
					description: `IDs of at most ${MAX_LISTED} products, separated by commas`,
				},
			},
			returns: list(object(stock), {
				description: "In the order of the IDs; without products that have no stock record",
			}),
			retry: true,
		},
		set: {
			summary: "Set the stock on hand of a product, at least its reserved quantity",
			rest: "PUT /inventory/:product_id",
			auth: "admin",
			params: { ...product_id, on_hand },
			returns: object(stock),
			throws: ["STOCK_NOT_FOUND", "STOCK_TOO_LOW"],
		},
		adjust: {
			summary: "Adjust the stock on hand of a product by a difference",
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
		/** Creates the stock record of a new product. Returns an existing record unchanged. */
		open: { params: { ...product_id, on_hand }, returns: object(stock) },
		/** Creates the stock records of new products, except those that exist. */
		openMany: {
			params: { products: list(object({ ...product_id, on_hand }), { min: 1, max: 1000 }) },
			returns: { type: "any" },
		},
		/** Stock of products in the order of `product_ids`, with null for one without a record. */
		resolve: {
			params: { product_ids: list({ type: "uuid" }, { max: 10_000 }) },
			returns: list({ type: "object", props: stock, nullable: true }),
			retry: true,
			divide: { list: "product_ids" },
		},
		/**
		 * Reserves all lines of an order or none, in the order of the list. Refuses an order with
		 * OUT_OF_STOCK (`detail` is the product's ID, `data` contains `product_id` and `available`), or
		 * with RELEASED if it was released, even before it was reserved.
		 */
		reserve: command("Reserve stock for orders", {
			items: list(object({ ...product_id, quantity }), { min: 1, max: 100 }),
		}),
		/**
		 * An order without a reservation gets a tombstone, which rejects a late `reserve`. Refuses an
		 * order with FULFILLED if it was shipped.
		 */
		release: command("Release the reserved stock of orders", {}),
		/**
		 * For the audit: stock records in order of product IDs. `held` is the quantity in open
		 * reservations, from the same snapshot.
		 */
		auditStock: {
			params: pick(range, "after", "limit"),
			returns: list(object({ ...product_id, on_hand: count, reserved: count, held: count })),
			retry: true,
			divide: { range: "product_id" },
		},
		/** For the audit: reservations and tombstones in a range of order IDs. */
		auditReservations: {
			params: range,
			returns: list(
				object({
					order_id: { type: "uuid" },
					status: { type: "enum", values: ["held", "released", "fulfilled"] },
					/** Time at which inventory requests the outcome of the order. */
					expires_at: { type: "string", nullable: true, optional: true },
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
		/** A product has become available or sold out. A trigger of the table publishes it. */
		"inventory.availability_changed": { ...product_id, is_available: { type: "boolean" } },
		"inventory.released": { order_id: { type: "uuid" } },
		"inventory.adjusted": {
			...product_id,
			delta: { type: "number", integer: true },
			on_hand,
			reason: { type: "string" },
		},
	},
	errors: {
		STOCK_NOT_FOUND: { status: 404, message: "The product has no stock record" },
		STOCK_TOO_LOW: {
			status: 409,
			message: "Stock on hand cannot be less than the reserved quantity",
		},
		OUT_OF_STOCK: { status: 409, message: "Not enough stock" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		inventory: typeof inventory;
	}
}
