import { sql } from "../../lib/persistence/database.ts";

/*
 * Each statement handles any number of orders and writes state and events in one transaction. It
 * locks stock rows in order of `product_id` and then reservations in order of `order_id`, and
 * decides on the locked rows. A statement that waits for stock therefore holds no reservation, and
 * concurrent batches cannot deadlock.
 */

/** Quantity by product, summed over the lines of `rows`. */
const sumByProduct = (rows: string) =>
	`select product_id, sum(quantity) as quantity
	from ${rows}, unnest(product_ids, quantities) as line (product_id, quantity)
	group by product_id`;

/**
 * Locks the stock of products. After a wait for another transaction, the locked rows are newer than
 * the snapshot of the rest of the statement.
 */
const lockStock = (products: string) =>
	`select product_id, on_hand, reserved from stock
	where product_id = any (array(${products})) order by product_id for update`;

/**
 * Updates stock from the rows of `locked`. With `set reserved = reserved + …` the final values
 * would be equal, but Postgres first checks the table's constraints on the outdated row, so the
 * update could fail without cause.
 */
const updateLockedStock = (rows: string, onHand: string, reserved: string) =>
	`update stock s set on_hand = ${onHand}, reserved = ${reserved}, updated_at = now()
	from locked join (${sumByProduct(rows)}) line using (product_id)
	where s.product_id = locked.product_id`;

/**
 * A condition that Postgres evaluates with a hash. For a join it would expect few rows and choose a
 * nested loop, which makes a million comparisons for 1000 orders.
 */
const isAmong = (rows: string) => `(order_id in (select order_id from ${rows})) is true`;

/**
 * Optimistic insert: fails if one of the orders already has a reservation or tombstone. Reserves
 * stock for all orders, or for none if the stock is insufficient, and returns which.
 *
 * `$1` and `$2`: products and their total quantities; `$3`: order IDs; `$4` to `$8`: as `$2` to
 * `$6` of {@link RESERVE}.
 */
export const RESERVE_NEW = sql(
	"reserve_new",
	`with locked as (
			select product_id, on_hand, reserved + w.quantity as reserved
			from unnest($1::uuid[], $2::int[]) as w (product_id, quantity) join stock s using (product_id)
			order by product_id for update of s),
		decision as (
			select count(*) = cardinality($1) and bool_and(reserved <= on_hand) as fits from locked),
		updated as (
			update stock s set on_hand = locked.on_hand, reserved = locked.reserved, updated_at = now()
			from locked where s.product_id = locked.product_id and (select fits from decision)),
		inserted as (
			insert into reservations (order_id, status, product_ids, quantities, expires_at)
			select order_id, 'held', products::uuid[], quantities::int[],
				now() + make_interval(secs => $8)
			from unnest($3::uuid[], $4::text[], $5::text[]) as w (order_id, products, quantities)
			where (select fits from decision) order by order_id),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'inventory.reserved', order_id::text, event, traceparent
			from unnest($3, $6::json[], $7::text[]) as w (order_id, event, traceparent)
			where (select fits from decision))
	select fits from decision`,
);

/**
 * Reserves stock for all orders that have no reservation yet, or for none of them if the stock is
 * insufficient. Returns the status of every order that has a reservation or tombstone.
 *
 * `$1`: order IDs; `$2` and `$3`: products and quantities of each order as array literals; `$4`:
 * events; `$5`: traceparents; `$6`: seconds until the reservation expires.
 */
export const RESERVE = sql(
	"reserve",
	`with requested as materialized (
			select w.order_id, w.products::uuid[] as product_ids, w.quantities::int[] as quantities,
				w.event, w.traceparent
			from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::text[])
				as w (order_id, products, quantities, event, traceparent)
			where not exists (select from reservations r where r.order_id = w.order_id)),
		need as materialized (${sumByProduct("requested")}),
		locked as (${lockStock("select product_id from need")}),
		decision as (
			select bool_and(quantity <= coalesce(on_hand - reserved, 0)) as fits
			from need left join locked using (product_id)),
		inserted as (
			insert into reservations (order_id, status, product_ids, quantities, expires_at)
			select order_id, 'held', product_ids, quantities, now() + make_interval(secs => $6)
			from requested where (select fits from decision) order by order_id
			on conflict (order_id) do nothing returning order_id, status, product_ids, quantities),
		updated as (
			${updateLockedStock("inserted", "locked.on_hand", "locked.reserved + line.quantity")}),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'inventory.reserved', order_id::text, event, traceparent
			from requested where ${isAmong("inserted")})
	select order_id, status from inserted
	union all select order_id, status from reservations where order_id = any($1)`,
);

/**
 * Ends the reservations of orders and inserts a tombstone for an order without one. Returns the
 * final status by order, without orders that a concurrent transaction is changing.
 * @param orders rows of order IDs, each with the expiry that its reservation must have, or null
 * @param onHand expression for the stock on hand afterwards
 * @param publish further CTEs, which insert events for the rows of `closed`
 */
const closeReservations = (
	name: string,
	status: "released" | "fulfilled",
	orders: string,
	onHand: string,
	publish = "",
) =>
	sql(
		name,
		`with requested as materialized (
				select w.order_id, w.expires_at, coalesce(r.product_ids, '{}') as product_ids,
					coalesce(r.quantities, '{}') as quantities
				from (${orders}) as w (order_id, expires_at) left join reservations r using (order_id)
				where (r.status = 'held' or r.status is null)
					and (w.expires_at is null or r.expires_at = w.expires_at)),
			locked as (${lockStock("select unnest(product_ids) from requested")}),
			closed as (
				insert into reservations as r (order_id, status, product_ids, quantities, expires_at)
				select order_id, '${status}', product_ids, quantities, expires_at from requested
				where (select count(*) from locked) is not null order by order_id
				on conflict (order_id) do update set status = excluded.status, updated_at = now()
					-- The stock of a reservation that was inserted meanwhile is not locked here.
					where r.status = 'held' and r.product_ids = excluded.product_ids
						and (excluded.expires_at is null or r.expires_at = excluded.expires_at)
				returning r.order_id, r.status, r.product_ids, r.quantities),
			updated as (${updateLockedStock("closed", onHand, "locked.reserved - line.quantity")})
			${publish}
		select order_id, status from closed
		union all select order_id, status from reservations
			where order_id = any($1) and status <> 'held'`,
	);

/**
 * Releases reserved stock. `$2`: events; `$3`: traceparents; `$4`: the expiry that each reservation
 * must have, or null. Tombstones publish no event.
 */
export const RELEASE = closeReservations(
	"release",
	"released",
	"select * from unnest($1::uuid[], $4::timestamptz[])",
	"locked.on_hand",
	`, published as (
			insert into outbox (type, subject, data, traceparent)
			select 'inventory.released', order_id::text, event, traceparent
			from unnest($1::uuid[], $2::json[], $3::text[]) as w (order_id, event, traceparent)
			where ${isAmong("closed where product_ids <> '{}'")})`,
);

/** Takes the stock of shipped orders off the stock on hand. */
export const FULFILL = closeReservations(
	"fulfil",
	"fulfilled",
	"select id, null::timestamptz from unnest($1::uuid[]) id",
	"locked.on_hand - line.quantity",
);

/** Reservations and tombstones of orders. */
export const FIND_RESERVATIONS = sql(
	"find_reservations",
	"select order_id, status from reservations where order_id = any($1::uuid[])",
);

/** One page of stock records, with the quantity that open reservations hold. */
export const AUDIT_STOCK = sql(
	"audit_stock",
	`with page as (
			select product_id, on_hand, reserved from stock
			where product_id > $1 order by product_id limit $2),
		held as (
			select product_id, sum(quantity)::int as held
			from reservations, unnest(product_ids, quantities) as line (product_id, quantity)
			where status = 'held' and product_id in (select product_id from page) group by product_id)
	select product_id, on_hand, reserved, coalesce(held, 0) as held
	from page left join held using (product_id) order by product_id`,
);

/** One page of reservations and tombstones, in order of order IDs. */
export const AUDIT_RESERVATIONS = sql(
	"audit_reservations",
	`select order_id, status, expires_at, coalesce((
			select json_agg(json_build_object('product_id', product_id, 'quantity', quantity))
			from unnest(product_ids, quantities) as line (product_id, quantity)), '[]') as items
	from reservations
	where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

const STOCK = "product_id, on_hand, reserved, on_hand - reserved as available";

/** Stock of one product. */
export const FIND_STOCK = sql("find_stock", `select ${STOCK} from stock where product_id = $1`);

/** Stock of products. */
export const FIND_STOCKS = sql(
	"find_stocks",
	`select ${STOCK} from stock where product_id = any($1::uuid[])`,
);

/** Stock of products, locked until the end of the transaction. */
export const LOCK_STOCK = sql(
	"lock_stock",
	`select ${STOCK} from stock where product_id = any($1::uuid[]) order by product_id for update`,
);

/** Creates the stock record of a product unless it exists. */
export const OPEN = sql(
	"open",
	"insert into stock (product_id, on_hand) values ($1, $2) on conflict do nothing",
);

/** Creates stock records with stock on hand `$2` unless they exist. */
export const OPEN_MANY = sql(
	"open_many",
	`insert into stock (product_id, on_hand)
	select product_id, on_hand from unnest($1::uuid[], $2::int[]) as p (product_id, on_hand)
	order by product_id on conflict do nothing`,
);

/** Sets the stock on hand of product `$1` to `$2`; `$3`: difference; `$4`: reason. */
export const SET_ON_HAND = sql(
	"change",
	`with adjustment as (
			insert into adjustments (product_id, delta, on_hand, reason) values ($1, $3, $2, $4))
	update stock set on_hand = $2, updated_at = now() where product_id = $1 returning ${STOCK}`,
);
