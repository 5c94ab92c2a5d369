import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { implement } from "../../lib/contracts/contract.ts";
import { done, pending, refused } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { sql } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { database, type HasDatabase } from "../../mixins/database.mixin.ts";
import { durableEvents, type HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { shipment, shipping } from "./shipping.contract.ts";
import { hasLeft, isDeliverable, type Status, trackingNumber } from "./shipping.rules.ts";

/** What a statement of this file answers for each order: the status its shipment has now. */
type Standing = { order_id: string; status: Status };

const NEW_SHIPMENTS = `with wanted as (select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::json[], $7::text[])
			as w(id, order_id, user_id, address, tracking_number, event, traceparent)),
		made as (insert into shipments (id, order_id, user_id, shipping_address, status, tracking_number)
			select id, order_id, user_id, address, 'scheduled', tracking_number from wanted order by order_id`;
/** For orders that nobody has scheduled, or unscheduled, before. */
const SCHEDULE_NEW = sql(
	"schedule_new",
	`${NEW_SHIPMENTS}) insert into outbox (type, subject, data, traceparent) select 'shipment.scheduled', order_id::text, event, traceparent from wanted`,
);
const SCHEDULE = sql(
	"schedule",
	`${NEW_SHIPMENTS}
			on conflict (order_id) do nothing returning order_id, status),
		told as (insert into outbox (type, subject, data, traceparent)
			select 'shipment.scheduled', order_id::text, event, traceparent from wanted join made using (order_id))
	select order_id, status from made
	union all select order_id, status from shipments where order_id = any($2)`,
);
const UNSCHEDULE = sql(
	"unschedule",
	`with wanted as (select * from unnest($1::uuid[], $2::json[], $3::text[]) as w(order_id, event, traceparent)),
		made as (insert into shipments as s (id, order_id, status, tracking_number)
			select gen_random_uuid(), order_id, 'cancelled', '' from wanted order by order_id
			on conflict (order_id) do update set status = 'cancelled', updated_at = now() where s.status = 'scheduled'
			returning order_id, status, user_id),
		told as (insert into outbox (type, subject, data, traceparent)
			select 'shipment.cancelled', order_id::text, event, traceparent from wanted join made using (order_id) where user_id is not null)
	select order_id, status from made
	union all select order_id, status from shipments where order_id = any($1) and order_id not in (select order_id from made)`,
);
/** From one status to the next; `$4` is the event's type. */
const ADVANCE = sql(
	"advance",
	`with moved as (update shipments set status = $3, updated_at = now() where order_id = any($1::uuid[]) and status = $2
			returning id, order_id, status, tracking_number),
		told as (insert into outbox (type, subject, data, traceparent)
			select $4, order_id::text, json_build_object('order_id', order_id, 'shipment_id', id, 'tracking_number', tracking_number), traceparent
			from moved join unnest($1::uuid[], $5::text[]) as w(order_id, traceparent) using (order_id))
	select order_id, status from moved
	union all select order_id, status from shipments where order_id = any($1) and order_id not in (select order_id from moved)`,
);
const AUDIT = sql(
	"audit",
	"select order_id, status from shipments where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3",
);
const FIND = sql(
	"find",
	`select ${Object.keys(shipment).join(", ")} from shipments where order_id = any($1::uuid[]) and user_id is not null`,
);

const statuses = (rows: Standing[]) =>
	new Map(rows.map(({ order_id, status }) => [order_id, status]));
type Order = Traced & { readonly order_id: string };
const distinct = <O extends Order>(orders: readonly O[]): O[] => [
	...new Map(orders.map((order) => [order.order_id, order])).values(),
];
const ids = (orders: readonly Order[]) => orders.map(({ order_id }) => order_id);

/**
 * Asks a statement about orders and, as long as `isOpen` says so of an answer, again: who had to wait for another statement has seen what was
 * before it. A shipment changes but a few times. What is open after all that is left out.
 */
async function settled(
	orders: readonly Order[],
	isOpen: (status: Status | undefined) => boolean,
	ask: (orders: Order[]) => Promise<Standing[]>,
): Promise<Map<string, Status>> {
	const standing = new Map<string, Status>();
	let open = distinct(orders);
	for (let look = 0; look < 4 && open.length > 0; look++) {
		const found = statuses(await ask(open));
		for (const [order_id, status] of found) if (!isOpen(status)) standing.set(order_id, status);
		open = open.filter(({ order_id }) => isOpen(found.get(order_id)));
	}
	return standing;
}
/** Moves shipments from one status to the next; answers what each is now, nothing for orders that have none. */
async function advance(
	self: HasDatabase & HasDurableEvents,
	orders: readonly Order[],
	from: Status,
	to: Status,
): Promise<Map<string, Status>> {
	const standing = await settled(
		orders,
		(status) => status === from,
		(open) =>
			self.db.query<Standing>(ADVANCE, [
				ids(open),
				from,
				to,
				`shipment.${to}`,
				traceparentsOf(open),
			]),
	);
	self.wakeRelay();
	return standing;
}

export default implement(shipping, database, durableEvents).with({
	actions: {
		async schedule({ params: { orders } }) {
			const wanted = distinct(orders)
				.filter(({ shipping_address }) => isDeliverable(shipping_address))
				.map((order) => {
					const shipment_id = newId();
					return { ...order, shipment_id, tracking_number: trackingNumber(shipment_id) };
				});
			const values = [
				wanted.map(({ shipment_id }) => shipment_id),
				wanted.map(({ order_id }) => order_id),
				wanted.map(({ user_id }) => user_id),
				wanted.map(({ shipping_address }) => shipping_address),
				wanted.map(({ tracking_number }) => tracking_number),
				wanted.map(({ order_id, shipment_id, tracking_number }) =>
					this.eventData("shipment.scheduled", { order_id, shipment_id, tracking_number }),
				),
				traceparentsOf(wanted),
			];
			const areNew = await this.db.insertNew(SCHEDULE_NEW, values);
			const standing = areNew
				? undefined
				: statuses(await this.db.query<Standing>(SCHEDULE, values));
			this.wakeRelay();
			return orders.map(({ order_id, shipping_address }) => {
				if (!isDeliverable(shipping_address)) return refused("UNDELIVERABLE");
				const status = standing ? standing.get(order_id) : "scheduled";
				// Another node is scheduling it at this very moment.
				if (!status) return pending;
				return status === "cancelled" ? refused("UNSCHEDULED") : done;
			});
		},

		async unschedule({ params: { orders } }) {
			const standing = await settled(
				orders,
				(status) => !status || status === "scheduled",
				(open) => {
					const facts = open.map(({ order_id }) =>
						this.eventData("shipment.cancelled", { order_id }),
					);
					return this.db.query<Standing>(UNSCHEDULE, [ids(open), facts, traceparentsOf(open)]);
				},
			);
			this.wakeRelay();
			return orders.map(({ order_id }) => {
				const status = standing.get(order_id);
				// A refusal is for good, so it is given only to what has left.
				if (!status) return pending;
				return status === "cancelled" ? done : refused("DISPATCHED");
			});
		},

		async dispatch({ params: { orders } }) {
			const standing = await advance(this, orders, "scheduled", "dispatched");
			return orders.map(({ order_id }) => {
				const status = standing.get(order_id);
				return status && hasLeft(status) ? done : refused("NOT_SCHEDULED");
			});
		},

		async deliver({ params: { orders } }) {
			const standing = await advance(this, orders, "dispatched", "delivered");
			return orders.map(({ order_id }) =>
				standing.get(order_id) === "delivered" ? done : refused("NOT_DISPATCHED"),
			);
		},

		async return({ params: { orders } }) {
			const standing = await advance(this, orders, "dispatched", "returned");
			return orders.map(({ order_id }) =>
				standing.get(order_id) === "returned" ? done : refused("NOT_DISPATCHED"),
			);
		},

		async auditShipments({ params: { after, upto, limit } }) {
			return this.db.query<Standing>(AUDIT, [after, upto, limit]);
		},

		async resolve({ params: { order_ids } }) {
			const rows = await this.db.query<Infer<typeof shipment>>(FIND, [order_ids]);
			const found = new Map(rows.map((row) => [row.order_id, row]));
			return order_ids.map((order_id) => found.get(order_id) ?? null);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},
});
