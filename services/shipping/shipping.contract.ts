import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, pick, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";

const order_id = { order_id: { type: "uuid" } } as const;

export const shipment = shape({
	id: { type: "uuid" },
	...order_id,
	user_id: { type: "uuid" },
	shipping_address: { type: "string", nullable: true },
	/** `cancelled` without an address: unscheduled before it was scheduled, so a late `schedule` is refused. */
	status: {
		type: "enum",
		values: ["scheduled", "dispatched", "delivered", "returned", "cancelled"],
	},
	tracking_number: { type: "string" },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});

export const shipping = contract({
	name: "shipping",
	actions: {
		...eventActions,
		/** Refuses with UNDELIVERABLE, or with UNSCHEDULED what was unscheduled before it was scheduled. */
		schedule: command("Book shipments", {
			user_id: { type: "uuid" },
			shipping_address: { type: "string", max: 500, nullable: true },
		}),
		/** Refuses with DISPATCHED what has left the house; an order without a shipment leaves a tombstone, which refuses a late `schedule`. */
		unschedule: command("Cancel shipments", {}),
		/** Refuses with NOT_SCHEDULED what was cancelled or never scheduled. */
		dispatch: command("Hand parcels to the carrier", {}),
		/** Refuses with NOT_DISPATCHED what is not on its way. */
		deliver: command("Note parcels as delivered", {}),
		/**
		 * The carrier could not deliver and brought it back. The order stays shipped and can no longer be delivered; what becomes of the money and
		 * of the goods, people decide, with a refund and an adjustment of the stock. Refuses with NOT_DISPATCHED what is not on its way.
		 */
		return: command("Note parcels as returned to sender", {}),
		/** Set-based, for other services: null where an order has no shipment. */
		resolve: {
			params: { order_ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list({ type: "object", props: shipment, nullable: true }),
			retry: true,
			divide: { list: "order_ids" },
		},
		/** For the audit: all shipments and tombstones in a range of orders. */
		auditShipments: {
			params: range,
			returns: list(object(pick(shipment, "order_id", "status"))),
			retry: true,
			divide: { range: "order_id" },
		},
		history,
	},
	events: {
		"shipment.scheduled": {
			...order_id,
			shipment_id: { type: "uuid" },
			tracking_number: { type: "string" },
		},
		"shipment.dispatched": {
			...order_id,
			shipment_id: { type: "uuid" },
			tracking_number: { type: "string" },
		},
		"shipment.delivered": {
			...order_id,
			shipment_id: { type: "uuid" },
			tracking_number: { type: "string" },
		},
		"shipment.returned": {
			...order_id,
			shipment_id: { type: "uuid" },
			tracking_number: { type: "string" },
		},
		"shipment.cancelled": { ...order_id },
	},
	errors: {
		UNDELIVERABLE: { status: 409, message: "The address cannot be delivered to" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		shipping: typeof shipping;
	}
}
