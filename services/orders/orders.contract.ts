import { address } from "../../lib/contracts/address.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { eventStreamPage } from "../../lib/contracts/event-stream.ts";
import { list, object, page, paging } from "../../lib/contracts/schema.ts";
import { adminActions } from "./orders.contract.admin.ts";
import { internalActions } from "./orders.contract.internal.ts";
import {
	enrichedOrder,
	id,
	order,
	orderEvent,
	pendingPayment,
	placementErrors,
	quantity,
	reason,
	refundedOrder,
	status,
	timeline,
} from "./orders.contract.shapes.ts";

export const orders = contract({
	name: "orders",
	actions: {
		...eventActions,
		...internalActions,
		...adminActions,
		create: {
			summary:
				"Place an order; returns it after payment and shipping, " +
				"or as `pending` if they take longer",
			rest: "POST /orders",
			auth: "user",
			status: 201,
			idempotent: true,
			async: "on request",
			params: {
				items: list(object({ product_id: { type: "uuid" }, quantity }), { min: 1, max: 100 }),
				payment_token: { type: "string", min: 1, max: 100, default: "tok_ok" },
				shipping_address: {
					type: "multi",
					rules: [{ type: "string", min: 1, max: 500, trim: true }, object(address)],
					optional: true,
					description: "Text, or a structured address, whose country decides on tax and shipping",
				},
				shipping_method: {
					type: "string",
					min: 1,
					max: 40,
					optional: true,
					description: "Code; by default the first method that delivers to the address",
				},
				user_id: {
					type: "uuid",
					optional: true,
					description: "The buyer. Only an admin can order for another user",
				},
			},
			returns: object(order),
			throws: [
				"USER_NOT_FOUND",
				"PRODUCT_NOT_FOUND",
				"CHOOSE_VARIANT",
				"MIXED_CURRENCIES",
				"OUT_OF_STOCK",
				"PAYMENT_DECLINED",
				"PAYMENT_EXPIRED",
				"ADDRESS_REQUIRED",
				"UNDELIVERABLE",
				"ORDER_CANCELLED",
				"ORDER_TOO_LARGE",
				"METHOD_UNAVAILABLE",
				"COUPON_USED_UP",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		list: {
			summary: "List your orders; an admin lists all orders",
			rest: "GET /orders",
			auth: "user",
			page: true,
			params: {
				...paging,
				status: { ...status, optional: true },
				user_id: { type: "uuid", optional: true },
				email: {
					type: "email",
					max: 254,
					normalize: true,
					optional: true,
					description: "Of the account or of the order itself. Administrators only",
				},
				from: { type: "time", optional: true, description: "Placed at or after this time" },
				to: { type: "time", optional: true, description: "Placed before this time" },
			},
			returns: page(order),
		},
		get: {
			summary: "Retrieve an order with its user and products",
			rest: "GET /orders/:id",
			// The handler requires the owner, an admin, or the order's token.
			auth: "anyone",
			token: "Order-Token",
			params: id,
			returns: object(enrichedOrder),
			throws: ["UNAUTHENTICATED", "ORDER_NOT_FOUND"],
			retry: true,
		},
		cancel: {
			summary:
				"Cancel an order that has not been shipped: refund the payment and release the stock",
			rest: "POST /orders/:id/cancel",
			repeatable: "an order changes to a status once",
			auth: "owner",
			async: "when slow",
			params: { ...id, reason: { ...reason, optional: true } },
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		ship: {
			summary: "Ship an order",
			rest: "POST /orders/:id/ship",
			repeatable: "an order changes to a status once",
			auth: "admin",
			params: id,
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		deliver: {
			summary: "Mark an order as delivered",
			rest: "POST /orders/:id/deliver",
			repeatable: "an order changes to a status once",
			auth: "admin",
			params: id,
			returns: object(order),
			throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
		},
		refund: {
			summary:
				"Refund pieces of an order with their share of discount and tax, and shipping if requested",
			rest: "POST /orders/:id/refunds",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: {
				...id,
				items: list(object({ product_id: { type: "uuid" }, quantity }), { max: 100 }),
				shipping: { type: "boolean", optional: true, description: "Also refund shipping" },
				reason: { ...reason, optional: true },
			},
			returns: object(refundedOrder),
			throws: [
				"ORDER_NOT_FOUND",
				"ILLEGAL_TRANSITION",
				"NOT_REFUNDABLE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		timeline: {
			summary: "Retrieve the timeline of an order",
			rest: "GET /orders/:id/timeline",
			auth: "anyone",
			token: "Order-Token",
			params: id,
			returns: object(timeline),
			throws: ["UNAUTHENTICATED", "ORDER_NOT_FOUND"],
			retry: true,
		},
		events: {
			summary:
				"Stream the events of an order until its final status; Last-Event-ID resumes a stream",
			rest: "GET /orders/:id/events",
			auth: "anyone",
			token: "Order-Token",
			stream: { watch: "orders.versions" },
			params: {
				...id,
				after: {
					type: "string",
					pattern: "^\\d{1,19}$",
					example: "0000000000000000042",
					optional: true,
					description: "Alternative to the Last-Event-ID header",
				},
			},
			returns: eventStreamPage,
			throws: ["UNAUTHENTICATED", "ORDER_NOT_FOUND", "RATE_LIMITED"],
			retry: true,
		},
	},
	events: {
		"order.created": orderEvent,
		/** The order waits for its payment. */
		"order.payment_pending": { ...orderEvent, payment_status: pendingPayment.status },
		"order.confirmed": orderEvent,
		"order.shipped": orderEvent,
		"order.delivered": orderEvent,
		"order.cancelled": { ...orderEvent, reason: { type: "string" } },
	},
	errors: {
		...placementErrors,
		ORDER_NOT_FOUND: { status: 404, message: "Order not found" },
		ILLEGAL_TRANSITION: { status: 409, message: "The order's status does not allow this change" },
		NOT_REFUNDABLE: {
			status: 409,
			message: "The refund exceeds the remaining amount of the payment",
		},
		PAYMENT_DECLINED: { status: 402, message: "The payment was declined" },
		PAYMENT_EXPIRED: { status: 402, message: "The payment was not confirmed in time" },
		USER_NOT_FOUND: { status: 404, message: "User not found" },
		AUDIT_RUNNING: { status: 409, message: "Another audit is running" },
		AUDIT_NOT_FOUND: { status: 404, message: "Audit not found" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		orders: typeof orders;
	}
}
