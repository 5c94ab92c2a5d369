import { versionsOf } from "../../lib/contracts/event-stream.ts";
import { list, object, paging, shape } from "../../lib/contracts/schema.ts";
import { count, id, order, orderSummary, pricedOrder, status } from "./orders.contract.shapes.ts";

export const stuckOrder = shape({
	...id,
	user_id: { type: "uuid", nullable: true },
	status,
	reason: { type: "string", nullable: true },
	created_at: { type: "time" },
});
export const violation = shape({
	invariant: { type: "string" },
	subject: { type: "string" },
	detail: { type: "string" },
});

/** Actions without a route, for other services and operators. */
export const internalActions = {
	/** Orders whose compensation failed repeatedly, oldest first; `count` is their total number. */
	stuck: {
		params: { limit: paging.limit },
		returns: object({ count, rows: list(object(stuckOrder)) }),
	},
	/** Retries the compensation of a stuck order. A node claims the order within a second. */
	retry: {
		params: id,
		returns: object(order),
		throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
	},
	/**
	 * Orders in the order of `ids`, with null for an unknown ID. For messages to their buyers, and
	 * for payments, which do not store that a guest's order has joined an account.
	 */
	summaries: {
		params: { ids: list({ type: "uuid" }, { max: 1000 }) },
		returns: list({ ...object(orderSummary), nullable: true }),
		retry: true,
		divide: { list: "ids" },
	},
	/**
	 * Places the order of a cart at the given prices. Safe to repeat: a call with the ID of an
	 * existing order waits for its saga and returns the same result. Throws the errors of `create`,
	 * with `order_id` in their data, after the order was cancelled.
	 */
	place: {
		params: {
			order_id: { type: "uuid" },
			user_id: { type: "uuid", nullable: true },
			payment_token: { type: "string", min: 1, max: 100 },
			priced: object(pricedOrder),
		},
		returns: object(order),
		throws: [
			"COUPON_USED_UP",
			"OUT_OF_STOCK",
			"PAYMENT_DECLINED",
			"PAYMENT_EXPIRED",
			"UNDELIVERABLE",
			"ORDER_CANCELLED",
			"ORDER_TOO_LARGE",
		],
	},
	/** IDs of the newest orders with this address of their own, such as those of a guest. */
	findByEmail: {
		params: {
			email: { type: "email", max: 254, normalize: true },
			limit: { ...count, min: 1, max: 1000 },
		},
		returns: list({ type: "uuid" }),
		retry: true,
	},
	/**
	 * Whether each customer has ordered, for promotions for the first order. A customer is the ID of
	 * an account, or the normalized e-mail address of a guest. Cancelled orders do not count.
	 */
	haveOrdered: {
		params: { customers: list({ type: "string", min: 1, max: 320 }, { max: 1000 }) },
		returns: list({ type: "boolean" }),
		retry: true,
	},
	/**
	 * Outcomes of orders, for services that hold resources for them. `cancelled` is final. An order
	 * that is `unknown` may still be written: a cart creates the ID first, and stock is reserved
	 * while the order is written.
	 */
	outcomes: {
		params: { order_ids: list({ type: "uuid" }, { max: 1000 }) },
		returns: list({ type: "enum", values: ["open", "confirmed", "cancelled", "unknown"] }),
		retry: true,
		divide: { list: "order_ids" },
	},
	/**
	 * Compares the records of all services while the system is in use. Each call processes pages for
	 * a few seconds and returns where to continue. Orders with an open saga are skipped.
	 */
	audit: {
		params: {
			after: {
				type: "string",
				pattern: "^(stock|orders):.{1,255}$",
				optional: true,
				description: "`next` of the previous call",
			},
			since: {
				type: "time",
				optional: true,
				description: "Only orders placed at or after this time",
			},
			quiet: {
				...count,
				min: 0,
				default: 60,
				description: "Skip orders that changed within this number of seconds",
			},
			recheck: {
				...count,
				min: 0,
				max: 5000,
				default: 1000,
				description: "Milliseconds after which a suspected violation is checked again",
			},
		},
		returns: object({
			total: {
				...count,
				nullable: true,
				description: "Number of orders to check; only in the result of the first call",
			},
			checked: count,
			skipped: count,
			violations: list(object(violation)),
			next: { type: "string", nullable: true, description: "null after the last page" },
		}),
		timeout: 30_000,
	},
	/** Version tokens of orders, for event streams; null if an order does not exist. */
	versions: versionsOf,
} as const;
