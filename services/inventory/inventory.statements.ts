import { sql } from "../../lib/persistence/database.ts";

/*
 * Whoever changes reservations locks first the stock rows by product_id and then the reservations by order_id, in one statement that
 * decides on what it locked. So nobody who waits for stock holds a reservation, and batches of several nodes never deadlock.
 */

/** The lines of some rows, added up by product. */
const totals = (rows: string) =>
	`select product_id, sum(quantity) as quantity from ${rows}, unnest(product_ids, quantities) as line (product_id, quantity) group by product_id`;

/** The stock of some products, newer than what the rest of the statement sees when it had to wait for another. */
const locked = (products: string) =>
	`select product_id, on_hand, reserved from stock where product_id = any (array(${products})) order by product_id for update`;

/**
 * Writes stock anew from its locked state. `set reserved = reserved + …` would end right as well, but Postgres checks the table's
 * constraints first on the outdated row, and so it failed for no reason.
 */
const rewrite = (rows: string, onHand: string, reserved: string) =>
	`update stock s set on_hand = ${onHand}, reserved = ${reserved}, updated_at = now()
	from locked join (${totals(rows)}) line using (product_id) where s.product_id = locked.product_id`;

/** A condition that Postgres answers by hashing. It expects few rows and would join them by comparing each with each, a million for 1000. */
const isAmong = (rows: string) => `(order_id in (select order_id from ${rows})) is true`;

/**
 * Holds stock for orders that have no reservation yet, if there is enough for every one of them, or else for none; answers which.
 * `$1` are the products and `$2` how many of each are wanted in all, `$3` the orders, the rest as in RESERVE.
 */
export const RESERVE_NEW = sql(
	"reserve_new",
	`with locked as (select product_id, on_hand, reserved + w.quantity as reserved
			from unnest($1::uuid[], $2::int[]) as w (product_id, quantity) join stock s using (product_id) order by product_id for update of s),
		verdict as (select count(*) = cardinality($1) and bool_and(reserved <= on_hand) as fits from locked),
		held as (update stock s set on_hand = locked.on_hand, reserved = locked.reserved, updated_at = now()
			from locked where s.product_id = locked.product_id and (select fits from verdict)),
		made as (insert into reservations (order_id, status, product_ids, quantities, expires_at)
			select order_id, 'held', products::uuid[], quantities::int[], now() + make_interval(secs => $8)
			from unnest($3::uuid[], $4::text[], $5::text[]) as w (order_id, products, quantities) where (select fits from verdict) order by order_id),
		told as (insert into outbox (type, subject, data, traceparent) select 'inventory.reserved', order_id::text, fact, traceparent
			from unnest($3, $6::json[], $7::text[]) as w (order_id, fact, traceparent) where (select fits from verdict))
	select fits from verdict`,
);

/**
 * Holds stock for all the given orders that have no reservation yet, if there is enough for every one of them, or else for none. Answers
 * what stands: nothing for an order that is still open.
 * `$2` and `$3` are each order's products and quantities as array literals, `$4` its event, `$5` its trace, `$6` the seconds until somebody asks after it.
 */
export const RESERVE = sql(
	"reserve",
	`with wanted as materialized (
			select w.order_id, w.products::uuid[] as product_ids, w.quantities::int[] as quantities, w.fact, w.traceparent
			from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::text[]) as w (order_id, products, quantities, fact, traceparent)
			where not exists (select from reservations r where r.order_id = w.order_id)),
		need as materialized (${totals("wanted")}),
		locked as (${locked("select product_id from need")}),
		verdict as (select bool_and(quantity <= coalesce(on_hand - reserved, 0)) as fits from need left join locked using (product_id)),
		made as (insert into reservations (order_id, status, product_ids, quantities, expires_at)
			select order_id, 'held', product_ids, quantities, now() + make_interval(secs => $6) from wanted where (select fits from verdict) order by order_id
			on conflict (order_id) do nothing returning order_id, status, product_ids, quantities),
		held as (${rewrite("made", "locked.on_hand", "locked.reserved + line.quantity")}),
		told as (insert into outbox (type, subject, data, traceparent)
			select 'inventory.reserved', order_id::text, fact, traceparent from wanted where ${isAmong("made")})
	select order_id, status from made
	union all select order_id, status from reservations where order_id = any($1)`,
);

/**
 * Ends what the given orders hold, and leaves a tombstone for an order that holds nothing. Answers what stands: nothing for an order that
 * another statement is changing at this very moment.
 * @param onHand what is on hand afterwards
 * @param told further parts, which tell others of `closed`
 */
const close = (name: string, status: "released" | "fulfilled", onHand: string, told = "") =>
	sql(
		name,
		`with wanted as materialized (
				select w.order_id, coalesce(r.product_ids, '{}') as product_ids, coalesce(r.quantities, '{}') as quantities
				from unnest($1::uuid[]) as w (order_id) left join reservations r using (order_id)
				where r.status = 'held' or r.status is null),
			locked as (${locked("select unnest(product_ids) from wanted")}),
			closed as (insert into reservations as r (order_id, status, product_ids, quantities)
				select order_id, '${status}', product_ids, quantities from wanted
				where (select count(*) from locked) is not null order by order_id
				on conflict (order_id) do update set status = excluded.status, updated_at = now()
					-- One that was reserved meanwhile has lines whose stock is not locked here.
					where r.status = 'held' and r.product_ids = excluded.product_ids
				returning r.order_id, r.status, r.product_ids, r.quantities),
			changed as (${rewrite("closed", onHand, "locked.reserved - line.quantity")})
			${told}
		select order_id, status from closed
		union all select order_id, status from reservations where order_id = any($1) and status <> 'held'`,
	);
/** `$2` is each order's event, `$3` its trace; tombstones tell nobody. */
export const RELEASE = close(
	"release",
	"released",
	"locked.on_hand",
	`, told as (insert into outbox (type, subject, data, traceparent)
		select 'inventory.released', order_id::text, fact, traceparent
		from unnest($1::uuid[], $2::json[], $3::text[]) as f (order_id, fact, traceparent)
		where ${isAmong("closed where product_ids <> '{}'")})`,
);
export const FULFIL = close("fulfil", "fulfilled", "locked.on_hand - line.quantity");

export const FIND_RESERVATIONS = sql(
	"find_reservations",
	"select order_id, status from reservations where order_id = any($1::uuid[])",
);

export const AUDIT_STOCK = sql(
	"audit_stock",
	`with page as (select product_id, on_hand, reserved from stock where product_id > $1 order by product_id limit $2),
		held as (select product_id, sum(quantity)::int as held from reservations, unnest(product_ids, quantities) as line (product_id, quantity)
			where status = 'held' and product_id in (select product_id from page) group by product_id)
	select product_id, on_hand, reserved, coalesce(held, 0) as held from page left join held using (product_id) order by product_id`,
);
export const AUDIT_RESERVATIONS = sql(
	"audit_reservations",
	`select order_id, status, coalesce((select json_agg(json_build_object('product_id', product_id, 'quantity', quantity))
		from unnest(product_ids, quantities) as line (product_id, quantity)), '[]') as items
	from reservations where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

const STOCK = "product_id, on_hand, reserved, on_hand - reserved as available";
export const FIND_STOCK = sql("find_stock", `select ${STOCK} from stock where product_id = $1`);
export const LOCK_STOCK = sql(
	"lock_stock",
	`select ${STOCK} from stock where product_id = any($1::uuid[]) order by product_id for update`,
);
export const OPEN = sql(
	"open",
	`insert into stock (product_id, on_hand) values ($1, $2) on conflict do nothing`,
);
export const CHANGE = sql(
	"change",
	`with noted as (insert into adjustments (product_id, delta, on_hand, reason) values ($1, $3, $2, $4))
	update stock set on_hand = $2, updated_at = now() where product_id = $1 returning ${STOCK}`,
);
