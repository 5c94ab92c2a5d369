import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { eventStreamPage, versionsOf } from "../../lib/contracts/event-stream.ts";
import { list, object, page, paging, shape } from "../../lib/contracts/schema.ts";

const id = { id: { type: "uuid" } } as const;
const reason = { type: "string", min: 1, max: 500, trim: true } as const;
const quantity = { type: "number", integer: true, min: 1, max: 1000 } as const;
const status = {
	type: "enum",
	values: ["pending", "confirmed", "shipped", "delivered", "cancelled"],
} as const;

const line = shape({
	product_id: { type: "uuid" },
	name: { type: "string" },
	quantity: { type: "number", integer: true, min: 1 },
	unit_price: { type: "money" },
	line_total: { type: "money" },
});
export const order = shape({
	...id,
	user_id: { type: "uuid" },
	status,
	items: list(object(line)),
	total_amount: { type: "money" },
	currency: { type: "string" },
	cancellation_reason: { type: "string", nullable: true },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});
/** With what other services know; null where such a service is down. */
const enriched = shape({
	...order,
	items: list(object({ ...line, product: { type: "any", nullable: true } })),
	user: { type: "any", nullable: true },
});
export const timelineEntry = shape({
	time: { type: "time" },
	/** Which service tells it. */
	source: { type: "string" },
	/** `retry`: an event's handler failed, and the event comes again. */
	kind: { type: "enum", values: ["event", "step", "compensation", "message", "retry"] },
	name: { type: "string" },
	detail: { type: "any", nullable: true },
	trace_id: { type: "string", nullable: true },
});
const step = shape({
	order_id: { type: "uuid" },
	user_id: { type: "uuid" },
	total_amount: { type: "money" },
	currency: { type: "string" },
});

const count = { type: "number", integer: true } as const;
const stuck = shape({
	...id,
	user_id: { type: "uuid" },
	status,
	reason: { type: "string", nullable: true },
	created_at: { type: "time" },
});

export const orders = contract({
	name: "orders",
	actions: {
		...eventActions,
		create: {
			summary:
				"Place an order: waits a few seconds for stock, payment and shipment, then answers with the order as it is",
			rest: "POST /orders",
			auth: "user",
			status: 201,
			idempotent: true,
			async: "on request",
			params: {
				items: list(object({ product_id: { type: "uuid" }, quantity }), { min: 1, max: 100 }),
				payment_token: { type: "string", min: 1, max: 100, default: "tok_ok" },
				shipping_address: { type: "string", min: 1, max: 500, trim: true, optional: true },
				user_id: {
					type: "uuid",
					optional: true,
					description: "The caller's own, unless an admin orders for somebody",
				},
			},
			returns: object(order),
			throws: [
				"USER_NOT_FOUND",
				"PRODUCT_NOT_FOUND",
				"MIXED_CURRENCIES",
				"OUT_OF_STOCK",
				"PAYMENT_DECLINED",
				"UNDELIVERABLE",
				"ORDER_CANCELLED",
				"ORDER_TOO_LARGE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		list: {
			summary: "Own orders; all of them for an admin",
			rest: "GET /orders",
			auth: "user",
			page: true,
			params: {
				...paging,
				status: { ...status, optional: true },
				user_id: { type: "uuid", optional: true },
			},
			returns: page(order),
		},
		get: {
			summary: "One order, with its user and products",
			rest: "GET /orders/:id",
			auth: "owner",
			params: id,
			returns: object(enriched),
			throws: ["ORDER_NOT_FOUND"],
			retry: true,
		},
		cancel: {
			summary: "Cancel before shipping: refunds and releases; the order says whether that is done",
			rest: "POST /orders/:id/cancel",
			repeatable: "an order changes to a status once",
			auth: "owner",
			async: "when slow",
			params: { ...id, reason: { ...reason, optional: true } },
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		ship: {
			summary: "Hand an order to the carrier",
			rest: "POST /orders/:id/ship",
			repeatable: "an order changes to a status once",
			auth: "admin",
			params: id,
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		deliver: {
			summary: "Note an order as delivered",
			rest: "POST /orders/:id/deliver",
			repeatable: "an order changes to a status once",
			auth: "admin",
			params: id,
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		/** Orders that could not be taken back, oldest first; `count` of all of them. */
		stuck: {
			params: { limit: paging.limit },
			returns: object({ count, rows: list(object(stuck)) }),
		},
		/** Has a stuck order taken back once more. */
		retry: {
			params: id,
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		/**
		 * What becomes of orders, for whoever holds something for them. `cancelled` is final. An order is there before anybody hears of it, so one that is
		 * `unknown` to whoever heard of it earlier will never be.
		 */
		fates: {
			params: { order_ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list({ type: "enum", values: ["open", "confirmed", "cancelled", "unknown"] }),
			retry: true,
			divide: { list: "order_ids" },
		},
		/**
		 * Compares what all services know, on a system that is at work. It looks around for some seconds and then answers where to go on; orders that
		 * somebody is working on are skipped.
		 */
		audit: {
			params: {
				after: {
					type: "string",
					pattern: "^(stock|orders):.{1,255}$",
					optional: true,
					description: "`next` of the call before",
				},
				since: { type: "time", optional: true, description: "Only orders placed since then" },
				quiet: {
					...count,
					min: 0,
					default: 60,
					description: "Seconds that an order was left in peace",
				},
				recheck: {
					...count,
					min: 0,
					max: 5000,
					default: 1000,
					description: "Milliseconds until suspects are looked at again",
				},
			},
			returns: object({
				total: {
					...count,
					nullable: true,
					description: "Orders to look at, told by the first call",
				},
				checked: count,
				skipped: count,
				violations: list(
					object({
						invariant: { type: "string" },
						subject: { type: "string" },
						detail: { type: "string" },
					}),
				),
				next: { type: "string", nullable: true, description: "null at the end" },
			}),
			timeout: 30_000,
		},
		timeline: {
			summary: "What happened to an order, step by step, as far as it is kept",
			rest: "GET /orders/:id/timeline",
			auth: "owner",
			params: id,
			returns: object({
				order_id: { type: "uuid" },
				status,
				/** How many runs have worked on it: each takeover and each cancellation is one more. */
				attempts: { type: "number", integer: true },
				entries: list(object(timelineEntry)),
				/** Services that could not be asked. */
				incomplete: list({ type: "string" }),
			}),
			throws: ["ORDER_NOT_FOUND"],
			retry: true,
		},
		events: {
			summary:
				"What happens to an order, as it happens; ends with the order. Last-Event-ID goes on where a stream broke off",
			rest: "GET /orders/:id/events",
			auth: "owner",
			stream: { watch: "orders.versions" },
			params: {
				...id,
				after: {
					type: "string",
					pattern: "^\\d{1,19}$",
					example: "0000000000000000042",
					optional: true,
					description: "Instead of Last-Event-ID",
				},
			},
			returns: eventStreamPage,
			throws: ["ORDER_NOT_FOUND", "RATE_LIMITED"],
			retry: true,
		},
		/** For streams: of each order something that changes when it does; null where there is none. */
		versions: versionsOf,
	},
	events: {
		"order.created": step,
		"order.confirmed": step,
		"order.shipped": step,
		"order.delivered": step,
		"order.cancelled": { ...step, reason: { type: "string" } },
	},
	errors: {
		ORDER_NOT_FOUND: { status: 404, message: "Order not found" },
		ILLEGAL_TRANSITION: { status: 409, message: "The order's status does not allow this" },
		MIXED_CURRENCIES: { status: 409, message: "One order cannot mix currencies" },
		ORDER_CANCELLED: { status: 409, message: "The order was cancelled" },
		ORDER_TOO_LARGE: { status: 409, message: "The order's total is more than can be charged" },
		OUT_OF_STOCK: { status: 409, message: "Not enough stock" },
		PAYMENT_DECLINED: { status: 402, message: "The payment was declined" },
		UNDELIVERABLE: { status: 409, message: "The address cannot be delivered to" },
		PRODUCT_NOT_FOUND: { status: 404, message: "Product not found" },
		USER_NOT_FOUND: { status: 404, message: "User not found" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		orders: typeof orders;
	}
}
