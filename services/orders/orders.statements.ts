import { sql } from "../../lib/persistence/database.ts";
import type { OrderDetails, StoredOrder } from "./orders.prices.rules.ts";
import type { Refund } from "./orders.refunds.rules.ts";

/** Lines of an order `o`: a column of its row, or rows of order_items for orders without it. */
export const ITEMS = `coalesce(o.items, (
		select json_agg(json_build_object('product_id', product_id, 'name', name,
			'quantity', quantity, 'unit_price', unit_price, 'line_total', line_total) order by position)
		from order_items where order_id = o.id)) as items`;
/** Columns of {@link OrderRow}. */
export const ORDER = `o.id, o.user_id, o.email, o.status, o.total_amount, o.currency,
	o.cancellation_reason, o.payment, o.created_at, o.updated_at, o.shipping_address, o.priced,
	${ITEMS}`;
/** Columns of {@link SagaRow}. */
export const SAGA = `${ORDER}, o.payment_token, o.traceparent,
	o.saga_state, o.saga_attempt, o.saga_reason, o.saga_resumed_at`;

/** An order without its saga. */
export interface OrderRow extends StoredOrder, OrderDetails {}
export interface SagaRow extends OrderRow {
	readonly payment_token: string;
	readonly traceparent: string | null;
	/** `waiting`: parked until its payment is decided. Null if no saga is open. */
	readonly saga_state: "forward" | "waiting" | "backward" | "stuck" | null;
	readonly saga_attempt: number;
	readonly saga_reason: string | null;
	/** Time at which the saga last resumed after it was parked. */
	readonly saga_resumed_at: string | null;
}

/** Data of an event about an order, as `eventDataOf` builds it for events of sagas. */
const EVENT = `(jsonb_build_object('order_id', id, 'user_id', user_id, 'total_amount', total_amount,
				'currency', currency)
			|| jsonb_strip_nulls(jsonb_build_object('email', email, 'subtotal', priced -> 'subtotal',
				'discount_amount', priced -> 'discount_amount',
				'shipping_amount', priced -> 'shipping_amount',
				'tax_amount', priced -> 'tax_amount')))::json`;
/**
 * Moves orders without an open saga from status `$2` to `$3`; `$4` is the event type, `$5` are the
 * traces. `$1` may contain an order twice.
 */
export const ADVANCE = sql(
	"advance",
	`with moved as (
		update orders set status = $3, updated_at = now()
		where id = any($1::uuid[]) and status = $2 and saga_state is null returning *),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select $4, id::text,
			${EVENT},
			(select w.traceparent from unnest($1::uuid[], $5::text[]) as w(order_id, traceparent)
				where w.order_id = id limit 1)
		from moved)
	select id from moved`,
);
export const WITH_STATUS = sql(
	"with_status",
	"select id from orders where id = any($1::uuid[]) and status = any($2::text[])",
);

export const COUNT_STUCK = sql(
	"count_stuck",
	"select count(*) as count from orders where saga_state = 'stuck'",
);
export const LIST_STUCK = sql(
	"list_stuck",
	`select id, user_id, status, saga_reason as reason, created_at from orders
	where saga_state = 'stuck' order by id limit $1`,
);
/** Removes the owner of a stuck saga, so that the next claim of any node takes it over. */
export const RETRY = sql(
	"retry",
	`update orders set saga_state = 'backward', saga_owner = null, saga_attempt = saga_attempt + 1
	where id = $1 and saga_state = 'stuck' returning id`,
);
export const OUTCOMES = sql(
	"outcomes",
	`select id, case when saga_state is not null then 'open'
		when status = 'cancelled' then 'cancelled'
		when status = 'pending' then 'open'
		else 'confirmed' end as outcome
	from orders where id = any($1::uuid[])`,
);

/** Gives the orders of guests with the addresses `$2` to the accounts `$1`. */
export const JOIN_GUESTS = sql(
	"join_guests",
	`update orders o set user_id = w.user_id
	from unnest($1::uuid[], $2::text[]) as w(user_id, email)
	where o.email = w.email and o.user_id is null`,
);
/**
 * Customers that have ordered, among the accounts `$1` and the addresses of guests `$2`. Orders
 * that have joined an account still count for their address.
 */
export const HAVE_ORDERED = sql(
	"have_ordered",
	`select customer::text from unnest($1::uuid[]) as customer where exists (
		select from orders where user_id = customer and status <> 'cancelled')
	union all select customer from unnest($2::text[]) as customer where exists (
		select from orders where email = customer and status <> 'cancelled')`,
);

/** Refunds of an order `o`, oldest first. */
const REFUNDS = `case when o.has_refunds then (
		select json_agg(json_build_object('id', id, 'items', items, 'shipping_amount', shipping_amount,
			'amount', amount, 'tax_amount', tax_amount, 'reason', reason, 'status', status,
			'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
			order by id)
		from refunds where order_id = o.id) end as refunds`;
export interface FoundRow extends SagaRow {
	/** Null if there are none. */
	readonly refunds: Refund[] | null;
}
export const FIND = sql("find", `select ${SAGA}, ${REFUNDS} from orders o where o.id = $1`);

export const FIND_ALL = sql(
	"find_all",
	`select ${ORDER} from orders o where o.id = any($1::uuid[])`,
);

export const FIND_BY_EMAIL = sql(
	"find_by_email",
	"select id from orders where email = $1 order by id desc limit $2",
);

/** A token that changes with the order. */
export const VERSIONS = sql(
	"versions",
	"select id, status || ' ' || updated_at as version from orders where id = any($1::uuid[])",
);
/** Open sagas, age of the oldest in seconds, and parked and stuck sagas. */
export const SAGA_FIGURES = sql(
	"saga_figures",
	`select count(*) filter (where saga_state <> 'stuck') as open,
		count(*) filter (where saga_state = 'stuck') as stuck,
		(select count(*) from orders where saga_state = 'waiting') as waiting,
		coalesce(extract(epoch from
			now() - min(saga_since) filter (where saga_state <> 'stuck')), 0)::float8 as oldest
	from orders where saga_state in ('forward', 'backward', 'stuck')`,
);
