import { sql } from "../../lib/persistence/database.ts";
import { shipment } from "./shipping.contract.ts";

/*
 * Each statement handles any number of orders and writes state and events in one transaction. The
 * parameters are parallel arrays. Rows are locked in order of `order_id`, so that concurrent
 * batches cannot deadlock. A row without a tracking number is a tombstone.
 */

const INSERT_SHIPMENTS = `
	with wanted as (
			select * from unnest(
				$1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::json[], $7::text[])
			as w(id, order_id, user_id, address, tracking_number, event, traceparent)),
		inserted as (
			insert into shipments (id, order_id, user_id, shipping_address, status, tracking_number)
			select id, order_id, user_id, address, 'scheduled', tracking_number from wanted
			order by order_id`;

/** Optimistic insert: fails as a whole if one of the orders already has a shipment or tombstone. */
export const SCHEDULE_NEW = sql(
	"schedule_new",
	`${INSERT_SHIPMENTS})
	insert into outbox (type, subject, data, traceparent)
		select 'shipment.scheduled', order_id::text, event, traceparent from wanted`,
);

/** Inserts missing shipments and returns the status of every order in the batch. */
export const SCHEDULE = sql(
	"schedule",
	`${INSERT_SHIPMENTS}
			on conflict (order_id) do nothing returning order_id, status),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'shipment.scheduled', order_id::text, event, traceparent
			from wanted join inserted using (order_id))
	select order_id, status from inserted
	union all select order_id, status from shipments where order_id = any($2)`,
);

/** Cancels scheduled shipments; an order without a shipment gets a tombstone. */
export const UNSCHEDULE = sql(
	"unschedule",
	`with wanted as (
			select * from unnest($1::uuid[], $2::json[], $3::text[]) as w(order_id, event, traceparent)),
		cancelled as (
			insert into shipments as s (id, order_id, status, tracking_number)
			select gen_random_uuid(), order_id, 'cancelled', '' from wanted order by order_id
			on conflict (order_id) do update set status = 'cancelled', updated_at = now()
				where s.status = 'scheduled'
			returning order_id, status, tracking_number),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'shipment.cancelled', order_id::text, event, traceparent
			from wanted join cancelled using (order_id) where tracking_number <> '')
	select order_id, status from cancelled
	union all select order_id, status from shipments
		where order_id = any($1) and order_id not in (select order_id from cancelled)`,
);

/** Moves shipments from status `$2` to `$3`; `$4` is the event type. */
export const ADVANCE = sql(
	"advance",
	`with moved as (
			update shipments set status = $3, updated_at = now()
			where order_id = any($1::uuid[]) and status = $2
			returning id, order_id, status, tracking_number),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select $4, order_id::text,
				json_build_object(
					'order_id', order_id, 'shipment_id', id, 'tracking_number', tracking_number),
				traceparent
			from moved join unnest($1::uuid[], $5::text[]) as w(order_id, traceparent) using (order_id))
	select order_id, status from moved
	union all select order_id, status from shipments
		where order_id = any($1) and order_id not in (select order_id from moved)`,
);

/** One page of shipments and tombstones, in order of order IDs. */
export const AUDIT_PAGE = sql(
	"audit",
	`select order_id, status from shipments
	where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

/** Shipments of the given orders, without tombstones. */
export const FIND = sql(
	"find",
	`select ${Object.keys(shipment).join(", ")} from shipments
	where order_id = any($1::uuid[]) and tracking_number <> ''`,
);
