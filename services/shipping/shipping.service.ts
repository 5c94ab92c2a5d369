import { traceparentsOf } from "../../lib/context/traceparent.ts";
import {
	type CommandOrder,
	distinctOrders,
	done,
	orderIds,
	pending,
	refused,
	statusByOrder,
} from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { alignBy } from "../../lib/persistence/align-rows.ts";
import { newId } from "../../lib/persistence/id.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { shopCountry } from "../../lib/settings/shop-country.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { type shipment, shipping } from "./shipping.contract.ts";
import { newMethod, quoteCart } from "./shipping.methods.rules.ts";
import { openMethodTable } from "./shipping.methods.ts";
import { hasLeft, isDeliverable, type Status, trackingNumber } from "./shipping.rules.ts";
import * as statements from "./shipping.statements.ts";

type Row = { order_id: string; status: Status };
type NewShipment = CommandOrder & { user_id: string | null; shipping_address: string | null };

export default defineService(shipping)({
	mixins: [database, durableEvents],

	created() {
		return {
			methodTable: openMethodTable(this.broker, this.db),
			shopCountry: shopCountry(envOf(this.broker)),
		};
	},

	methods: {
		/**
		 * Inserts missing shipments.
		 * @returns the current status by order ID; undefined if all shipments are new
		 */
		async insertShipments(orders: NewShipment[]): Promise<Map<string, Status> | undefined> {
			const shipments = orders.map((order) => {
				const shipment_id = newId();
				return { ...order, shipment_id, tracking_number: trackingNumber(shipment_id) };
			});
			const columns = [
				shipments.map(({ shipment_id }) => shipment_id),
				shipments.map(({ order_id }) => order_id),
				shipments.map(({ user_id }) => user_id),
				shipments.map(({ shipping_address }) => shipping_address),
				shipments.map(({ tracking_number }) => tracking_number),
				shipments.map(({ order_id, shipment_id, tracking_number }) =>
					this.eventData("shipment.scheduled", { order_id, shipment_id, tracking_number }),
				),
				traceparentsOf(shipments),
			];
			const allNew = await this.db.insertNew(statements.SCHEDULE_NEW, columns);
			const existing = allNew
				? undefined
				: statusByOrder(await this.db.query<Row>(statements.SCHEDULE, columns));
			this.wakeRelay("shipment.scheduled");
			return existing;
		},

		/** Moves shipments to the next status and returns the current status by order ID. */
		async advance(
			orders: readonly CommandOrder[],
			from: Status,
			to: Status,
		): Promise<Map<string, Status>> {
			const isOpen = (status?: Status) => status === from;
			const statusOf = await retryWhileOpen(orders, isOpen, (open) =>
				this.db.query<Row>(statements.ADVANCE, [
					orderIds(open),
					from,
					to,
					`shipment.${to}`,
					traceparentsOf(open),
				]),
			);
			this.wakeRelay();
			return statusOf;
		},
	},

	actions: {
		async schedule({ params: { orders } }) {
			const statusOf = await this.insertShipments(
				distinctOrders(orders).filter((order) => isDeliverable(order.shipping_address)),
			);
			return orders.map(({ order_id, shipping_address }) => {
				if (!isDeliverable(shipping_address)) return refused("UNDELIVERABLE");
				const status = statusOf ? statusOf.get(order_id) : "scheduled";
				// Another node is inserting this shipment in an open transaction.
				if (!status) return pending;
				return status === "cancelled" ? refused("UNSCHEDULED") : done;
			});
		},

		async unschedule({ params: { orders } }) {
			const isOpen = (status?: Status) => !status || status === "scheduled";
			const statusOf = await retryWhileOpen(orders, isOpen, (open) =>
				this.db.query<Row>(statements.UNSCHEDULE, [
					orderIds(open),
					open.map(({ order_id }) => this.eventData("shipment.cancelled", { order_id })),
					traceparentsOf(open),
				]),
			);
			this.wakeRelay("shipment.cancelled");
			return orders.map(({ order_id }) => {
				const status = statusOf.get(order_id);
				// A refusal is final, so only shipments that have left may be refused.
				if (!status) return pending;
				return status === "cancelled" ? done : refused("DISPATCHED");
			});
		},

		async dispatch({ params: { orders } }) {
			const statusOf = await this.advance(orders, "scheduled", "dispatched");
			return orders.map(({ order_id }) => {
				const status = statusOf.get(order_id);
				return status && hasLeft(status) ? done : refused("NOT_SCHEDULED");
			});
		},

		async deliver({ params: { orders } }) {
			const statusOf = await this.advance(orders, "dispatched", "delivered");
			return orders.map(({ order_id }) =>
				statusOf.get(order_id) === "delivered" ? done : refused("NOT_DISPATCHED"),
			);
		},

		async return({ params: { orders } }) {
			const statusOf = await this.advance(orders, "dispatched", "returned");
			return orders.map(({ order_id }) =>
				statusOf.get(order_id) === "returned" ? done : refused("NOT_DISPATCHED"),
			);
		},

		async auditShipments({ params: { after, upto, limit } }) {
			return this.db.query<Row>(statements.AUDIT_PAGE, [after, upto, limit]);
		},

		async resolve({ params: { order_ids } }) {
			const rows = await this.db.query<Infer<typeof shipment>>(statements.FIND, [order_ids]);
			return alignBy(order_ids, rows, ({ order_id }) => order_id);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},

		methods() {
			return this.methodTable.list();
		},

		createMethod({ params }) {
			return this.methodTable.create(newMethod(params));
		},

		updateMethod({ params: { code, ...changes } }) {
			return this.methodTable.update(code, changes);
		},

		removeMethod({ params: { code } }) {
			return this.methodTable.remove(code);
		},

		async status() {
			return { enabled: (await this.methodTable.list()).length > 0 };
		},

		async quote({ params: { carts } }) {
			const methods = await this.methodTable.list();
			return carts.map((cart) => quoteCart(cart, methods, this.shopCountry));
		},
	},
});

/** A shipment changes status at most three times, so four attempts always reach a stable one. */
const MAX_ATTEMPTS = 4;

/**
 * Runs a statement again for orders whose returned status is still open. A statement that had to
 * wait for a row lock returns the status from before the other transaction committed.
 *
 * @returns status by order ID, without orders that are still open after {@link MAX_ATTEMPTS}
 */
async function retryWhileOpen(
	orders: readonly CommandOrder[],
	isOpen: (status: Status | undefined) => boolean,
	run: (orders: CommandOrder[]) => Promise<Row[]>,
): Promise<Map<string, Status>> {
	const result = new Map<string, Status>();
	let open = distinctOrders(orders);
	for (let attempt = 0; attempt < MAX_ATTEMPTS && open.length > 0; attempt++) {
		const statusOf = statusByOrder(await run(open));
		for (const [order_id, status] of statusOf) if (!isOpen(status)) result.set(order_id, status);
		open = open.filter(({ order_id }) => isOpen(statusOf.get(order_id)));
	}
	return result;
}
