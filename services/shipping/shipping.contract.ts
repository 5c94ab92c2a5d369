import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, pick, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";
import { methodActions } from "./shipping.contract.methods.ts";

const order_id = { order_id: { type: "uuid" } } as const;

export const shipment = shape({
	id: { type: "uuid" },
	...order_id,
	user_id: { type: "uuid", nullable: true, description: "Null for the order of a guest" },
	shipping_address: { type: "string", nullable: true },
	/** A `cancelled` row without a tracking number is a tombstone; it rejects a late `schedule`. */
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
		...methodActions,
		/** Refuses an order with UNDELIVERABLE, or with UNSCHEDULED if its shipment was cancelled. */
		schedule: command("Schedule shipments", {
			user_id: { type: "uuid", nullable: true },
			shipping_address: { type: "string", max: 2000, nullable: true },
		}),
		/**
		 * Refuses an order with DISPATCHED if its parcel has left. An order without a shipment gets a
		 * tombstone, which rejects a late `schedule`.
		 */
		unschedule: command("Cancel shipments", {}),
		/** Refuses an order with NOT_SCHEDULED if its shipment is cancelled or missing. */
		dispatch: command("Hand parcels to the carrier", {}),
		/** Refuses an order with NOT_DISPATCHED if its parcel is not in transit. */
		deliver: command("Mark parcels as delivered", {}),
		/**
		 * Records that the carrier could not deliver a parcel and returned it. The order stays
		 * `shipped` and can no longer be delivered; operators refund the payment and adjust the stock.
		 * Refuses an order with NOT_DISPATCHED if its parcel is not in transit.
		 */
		return: command("Mark parcels as returned to sender", {}),
		/** For other services: the shipment of each order, or null. */
		resolve: {
			params: { order_ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list({ type: "object", props: shipment, nullable: true }),
			retry: true,
			divide: { list: "order_ids" },
		},
		/** For the audit: shipments and tombstones in a range of order IDs. */
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
		METHOD_EXISTS: { status: 409, message: "Another shipping method has this code" },
		METHOD_NOT_FOUND: { status: 404, message: "Shipping method not found" },
		TOO_MANY_METHODS: { status: 409, message: "A shop can have at most 100 shipping methods" },
		UNDELIVERABLE: { status: 409, message: "The shop does not deliver to this address" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		shipping: typeof shipping;
	}
}
