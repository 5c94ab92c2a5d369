import { sql } from "../../lib/persistence/database.ts";
import type { Order } from "./orders.rules.ts";

/** The lines of an order `o`. They stand in its row; those of the first orders have a table of their own. */
export const ITEMS = `coalesce(o.items, (select json_agg(json_build_object('product_id', product_id, 'name', name, 'quantity', quantity,
	'unit_price', unit_price, 'line_total', line_total) order by position) from order_items where order_id = o.id)) as items`;
/** An order as it goes over the wire. */
const ORDER = `o.id, o.user_id, o.status, o.total_amount, o.currency, o.cancellation_reason, o.created_at, o.updated_at, ${ITEMS}`;
const SAGA = `${ORDER}, o.payment_token, o.shipping_address, o.traceparent, o.saga_state, o.saga_attempt, o.saga_reason`;

export interface SagaRow extends Order {
	readonly payment_token: string;
	readonly shipping_address: string | null;
	readonly traceparent: string | null;
	readonly saga_state: "forward" | "backward" | "stuck" | null;
	readonly saga_attempt: number;
	readonly saga_reason: string | null;
}

/** Orders with an idempotency key are placed only if the key is new; answers the ids of those that were placed. */
export const PLACE = sql(
	"place",
	`with wanted as (select * from unnest($2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::json[], $7::text[], $8::text[], $9::timestamptz[],
			$10::json[], $11::text[], $12::text[], $13::text[], $14::uuid[])
			as w(id, user_id, total, currency, items, token, address, at, event, key, hash, traceparent, caller)),
	keyed as (insert into idempotency_keys (user_id, action, key, body_hash, subject)
		select caller, 'orders.create', key, hash, id from wanted where key is not null on conflict do nothing returning subject),
	new as (select * from wanted where key is null or id::text in (select subject from keyed)),
	placed as (insert into orders (id, user_id, status, total_amount, currency, items, payment_token, shipping_address, saga_state, saga_owner,
			created_at, updated_at, traceparent)
		select id, user_id, 'pending', total, currency, items, token, address, 'forward', $1, at, at, traceparent from new returning id),
	told as (insert into outbox (type, subject, data, traceparent) select 'order.created', id::text, event, traceparent from new)
	select id from placed`,
);

/**
 * The saga writes below share these lines: ours are the sagas whose attempt is still the one that we know. What they answer and tell others
 * holds the attempt as well, because one batch may bring two attempts at one order.
 */
const OURS = "where o.id = w.id and o.saga_attempt = w.attempt";
const WRITTEN = "returning o.id, o.saga_attempt as attempt";
const END = "saga_state = null, saga_owner = null, saga_reason = null";

export const COMPLETE = sql(
	"complete",
	`with done as (update orders o set status = 'confirmed', ${END}, updated_at = $4
		from unnest($1::uuid[], $2::int[], $3::json[]) as w(id, attempt, event)
		${OURS} and o.saga_state = 'forward' and o.status = 'pending' ${WRITTEN}, o.traceparent, w.event),
	told as (insert into outbox (type, subject, data, traceparent) select 'order.confirmed', id::text, event, traceparent from done)
	select id, attempt from done`,
);
/** Also answers for what the same attempt has turned before, when that answer was lost. */
export const MARK_COMPENSATING = sql(
	"turn",
	`update orders o set saga_state = 'backward', saga_reason = w.reason
	from unnest($1::uuid[], $2::int[], $3::text[]) as w(id, attempt, reason) ${OURS} and o.saga_state in ('forward', 'backward') ${WRITTEN}`,
);
export const MARK_COMPENSATED = sql(
	"close",
	`with done as (update orders o set status = 'cancelled', cancellation_reason = w.reason, ${END}, updated_at = $5
		from unnest($1::uuid[], $2::int[], $3::text[], $4::json[]) as w(id, attempt, reason, event)
		${OURS} and o.saga_state = 'backward' ${WRITTEN}, o.traceparent, w.event),
	told as (insert into outbox (type, subject, data, traceparent) select 'order.cancelled', id::text, event, traceparent from done)
	select id, attempt from done`,
);
export const ABORT = sql(
	"abort",
	`update orders o set ${END}
	from unnest($1::uuid[], $2::int[]) as w(id, attempt) ${OURS} and o.saga_state = 'backward' and o.status = 'confirmed' ${WRITTEN}`,
);
export const MARK_STUCK = sql(
	"stall",
	`update orders o set saga_state = 'stuck', saga_owner = null, saga_reason = w.reason
	from unnest($1::uuid[], $2::int[], $3::text[]) as w(id, attempt, reason) ${OURS} and o.saga_state = 'backward' ${WRITTEN}`,
);

export const HEARTBEAT = sql(
	"beat",
	`insert into saga_nodes (id, lease_until) values ($1, now() + make_interval(secs => $2 / 1000.0))
	on conflict (id) do update set lease_until = excluded.lease_until`,
);
export const RELEASE = sql("leave", "delete from saga_nodes where id = $1");

const TAKE = "saga_owner = $1, saga_attempt = saga_attempt + 1, saga_since = now()";
/**
 * `$3` are the orders whose sagas run on this node, `$4` is its lease in milliseconds. `$5` limits the bytes of all their lines: sagas that are claimed
 * together reach their next step together.
 */
export const CLAIM = sql(
	"claim",
	`with gone as (delete from saga_nodes where lease_until < now() - interval '1 hour'),
	due as materialized (select id, saga_since, coalesce(octet_length(items::text), 0) as bytes from orders o where saga_state in ('forward', 'backward') and id <> all($3::uuid[])
		and (not exists (select from saga_nodes n where n.id = o.saga_owner and n.lease_until > now())
			or (saga_owner = $1 and saga_since < now() - make_interval(secs => $4 / 1000.0)))
		order by saga_since limit $2 for update skip locked),
	fitting as (select id from (select id, sum(bytes) over (order by saga_since, id) - bytes as before from due) d where before < $5::bigint),
	mine as (update orders o set ${TAKE} from fitting f where o.id = f.id returning o.*)
	select ${SAGA} from mine o`,
);

/**
 * Takes an order back, out of its running saga or after it, or once more when that got stuck; not while it is being taken back already. Its trace goes on with
 * that of whoever wants it, `$4`. */
export const BEGIN_CANCELLATION = sql(
	"take_back",
	`with mine as (update orders set saga_state = 'backward', ${TAKE},
			saga_reason = case when saga_state = 'stuck' then saga_reason else $3 end, traceparent = coalesce($4, traceparent)
		where id = $2 and ((status = 'pending' and saga_state = 'forward') or (status = 'confirmed' and saga_state is null) or saga_state = 'stuck')
		returning *)
	select ${SAGA} from mine o`,
);
/** From one status to the next, outside any saga; `$4` is the event's type, `$5` are the traces. An order may be named twice. */
export const ADVANCE = sql(
	"advance",
	`with moved as (update orders set status = $3, updated_at = now()
		where id = any($1::uuid[]) and status = $2 and saga_state is null returning *),
	told as (insert into outbox (type, subject, data, traceparent)
		select $4, id::text, json_build_object('order_id', id, 'user_id', user_id, 'total_amount', total_amount, 'currency', currency),
			(select w.traceparent from unnest($1::uuid[], $5::text[]) as w(order_id, traceparent) where w.order_id = id limit 1) from moved)
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
	"select id, user_id, status, saga_reason as reason, created_at from orders where saga_state = 'stuck' order by id limit $1",
);
/** Nobody's, so that the next node that looks takes it over. */
export const RETRY = sql(
	"retry",
	"update orders set saga_state = 'backward', saga_owner = null, saga_attempt = saga_attempt + 1 where id = $1 and saga_state = 'stuck' returning id",
);
export const OUTCOMES = sql(
	"fates",
	`select id, case when saga_state is not null then 'open' when status = 'cancelled' then 'cancelled' when status = 'pending' then 'open'
		else 'confirmed' end as fate
	from orders where id = any($1::uuid[])`,
);

export const FIND = sql("find", `select ${SAGA} from orders o where o.id = $1`);

/** One page, newest first, and all that the list has; ids grow with time. */
export const page = (filters: readonly ("user_id" | "status")[]) => {
	const where = filters.map((column, i) => `o.${column} = $${i + 3}`).join(" and ") || "true";
	const name = filters.join("_") || "all";
	return {
		rows: sql(
			`page_${name}`,
			`select ${ORDER} from orders o where ${where} order by o.id desc offset $1 limit $2`,
		),
		all: sql(
			`count_${name}`,
			`select from orders o where ${where.replace(/\$(\d)/g, (_, n) => `$${Number(n) - 2}`)}`,
		),
	};
};

/** Something that changes when an order does. */
export const VERSIONS = sql(
	"versions",
	"select id, status || ' ' || updated_at as version from orders where id = any($1::uuid[])",
);
/** Of sagas, for operators: how many are open, since when the oldest, and how many are stuck. */
export const SAGA_FIGURES = sql(
	"saga_figures",
	`select count(*) filter (where saga_state <> 'stuck') as open, count(*) filter (where saga_state = 'stuck') as stuck,
		coalesce(extract(epoch from now() - min(saga_since) filter (where saga_state <> 'stuck')), 0)::float8 as oldest
	from orders where saga_state is not null`,
);
