import { sql } from "../../../lib/persistence/database.ts";
import { SAGA } from "../orders.statements.ts";

/*
 * Statements of the saga store. Those that take several orders have parallel arrays as parameters,
 * and insert the events of their change into the outbox.
 */

/**
 * Inserts orders with their sagas, idempotency keys and `order.created` events; `$1` is the owner.
 * Skips orders whose key is already in use, and returns the IDs of the others. An optimistic
 * insert: fails as a whole if one of the orders exists.
 */
export const PLACE = sql(
	"place",
	`with drafts as (
		select * from unnest($2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::json[], $7::text[],
				$8::text[], $9::timestamptz[], $10::json[], $11::text[], $12::text[], $13::text[],
				$14::uuid[], $15::json[])
			as w(id, user_id, total, currency, items, token, address, at, event, key, hash,
				traceparent, caller, priced)),
	keyed as (
		insert into idempotency_keys (user_id, action, key, body_hash, subject)
		select caller, 'orders.create', key, hash, id from drafts where key is not null
		on conflict do nothing returning subject),
	new as (
		select * from drafts where key is null or id::text in (select subject from keyed)),
	placed as (
		insert into orders (id, user_id, status, total_amount, currency, items, payment_token,
			shipping_address, saga_state, saga_owner, created_at, updated_at, traceparent, priced, email)
		select id, user_id, 'pending', total, currency, items, token, address, 'forward', $1, at, at,
			traceparent, priced, priced ->> 'email'
		from new returning id),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select 'order.created', id::text, event, traceparent from new)
	select id from placed`,
);

/** IDs of the given orders that exist. */
export const EXISTING = sql("existing", "select id from orders where id = any($1::uuid[])");

/*
 * The writes of a saga share these lines. They apply only if the row still has the attempt of the
 * run. The attempt is also part of the result, because one batch may contain two attempts of an
 * order.
 *
 * `is not distinct from` is `=` without an index. No statistics describe statuses that an order has
 * for milliseconds, so Postgres would expect no order with `saga_state = 'forward'` and read all of
 * them, with the dead index entries of all recent orders, instead of those with the given IDs.
 */
const SAME_ATTEMPT = "where o.id = w.id and o.saga_attempt = w.attempt";
const RUNS_FORWARD = "o.saga_state is not distinct from 'forward'";
const RUNS_BACKWARD = "o.saga_state is not distinct from 'backward'";
const IS_PENDING = "o.status is not distinct from 'pending'";
const WRITTEN = "returning o.id, o.saga_attempt as attempt";
const END = "saga_state = null, saga_owner = null, saga_reason = null, payment = null";

/** Confirms pending orders and ends their sagas. */
export const COMPLETE = sql(
	"complete",
	`with done as (
		update orders o set status = 'confirmed', ${END}, updated_at = $4
		from unnest($1::uuid[], $2::int[], $3::json[]) as w(id, attempt, event)
		${SAME_ATTEMPT} and ${RUNS_FORWARD} and ${IS_PENDING}
		${WRITTEN}, o.traceparent, w.event),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select 'order.confirmed', id::text, event, traceparent from done)
	select id, attempt from done`,
);
/**
 * Parks pending orders until `wake_at`. A mark that RESUME has left since the saga was claimed
 * makes them due at once. `$4`: payments that the orders wait for.
 */
export const MARK_WAITING = sql(
	"mark_waiting",
	`with parked as (
		update orders o set saga_state = 'waiting', saga_owner = null, payment = w.payment,
			saga_wake_at = least(o.saga_wake_at, w.wake_at), updated_at = $6
		from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::json[], $5::json[])
			as w(id, attempt, wake_at, payment, event)
		${SAME_ATTEMPT} and ${RUNS_FORWARD} and ${IS_PENDING}
		${WRITTEN}, o.traceparent, w.event),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select 'order.payment_pending', id::text, event, traceparent from parked)
	select id, attempt from parked`,
);
/**
 * Resumes parked sagas: the next claim of any node takes them over. A saga that still runs may have
 * read the payment before its change and may be about to park; it gets a mark for MARK_WAITING.
 */
export const RESUME = sql(
	"resume",
	`update orders set
		saga_wake_at = case saga_state when 'forward' then now() end,
		saga_owner = case saga_state when 'forward' then saga_owner end,
		saga_attempt = case saga_state when 'forward' then saga_attempt else saga_attempt + 1 end,
		saga_since = case saga_state when 'forward' then saga_since else now() end,
		saga_resumed_at = case saga_state when 'forward' then saga_resumed_at else now() end,
		saga_state = 'forward'
	where id = any($1::uuid[]) and saga_state in ('forward', 'waiting')`,
);
/** Also returns sagas that the same attempt has marked before, in case that result was lost. */
export const MARK_COMPENSATING = sql(
	"mark_compensating",
	`update orders o set saga_state = 'backward', saga_reason = w.reason
	from unnest($1::uuid[], $2::int[], $3::text[]) as w(id, attempt, reason)
	${SAME_ATTEMPT} and (${RUNS_FORWARD} or ${RUNS_BACKWARD}) ${WRITTEN}`,
);
/** Cancels orders whose steps have been compensated, and ends their sagas. */
export const MARK_COMPENSATED = sql(
	"mark_compensated",
	`with done as (
		update orders o set status = 'cancelled', cancellation_reason = w.reason, ${END},
			updated_at = $5
		from unnest($1::uuid[], $2::int[], $3::text[], $4::json[]) as w(id, attempt, reason, event)
		${SAME_ATTEMPT} and ${RUNS_BACKWARD} ${WRITTEN}, o.traceparent, w.event),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select 'order.cancelled', id::text, event, traceparent from done)
	select id, attempt from done`,
);
/** Ends cancellations that came too late. The orders stay confirmed. */
export const ABORT = sql(
	"abort",
	`update orders o set ${END} from unnest($1::uuid[], $2::int[]) as w(id, attempt)
	${SAME_ATTEMPT} and ${RUNS_BACKWARD} and o.status is not distinct from 'confirmed'
	${WRITTEN}`,
);
export const MARK_STUCK = sql(
	"mark_stuck",
	`update orders o set saga_state = 'stuck', saga_owner = null, saga_reason = w.reason
	from unnest($1::uuid[], $2::int[], $3::text[]) as w(id, attempt, reason)
	${SAME_ATTEMPT} and ${RUNS_BACKWARD} ${WRITTEN}`,
);

/** Failures that are kept of each order, the last ones. */
const MAX_FAILURES = 20;
/**
 * Records failed calls of steps. A batch contains at most one of each run. It only inserts, so that
 * it takes no lock on the orders, which their runs may write meanwhile.
 */
export const RECORD_FAILURES = sql(
	"record_failures",
	`with failed as (
		select w.* from unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::boolean[],
				$7::text[]) as w(id, attempt, step, tries, error, is_last, traceparent), orders o
		${SAME_ATTEMPT}),
	recorded as (
		insert into step_failures (order_id, attempt, step, tries, error, is_last, traceparent)
		select id, attempt, step, tries, error, is_last, traceparent from failed
		on conflict do nothing),
	surplus as (
		delete from step_failures f using (
			select order_id, attempt, step, tries,
				row_number() over (partition by order_id order by time desc) as position
			from step_failures where order_id in (select id from failed)) s
		where s.position >= ${MAX_FAILURES} and f.order_id = s.order_id and f.attempt = s.attempt
			and f.step = s.step and f.tries = s.tries)
	select id, attempt from failed`,
);

export const FIND_FAILURES = sql(
	"find_failures",
	`select attempt, step, tries, error, is_last, traceparent, time from step_failures
	where order_id = $1 order by time, attempt, tries`,
);
/** Maximum number of failures that one statement deletes. */
export const PRUNE_LIMIT = 1000;
/** Deletes failures that are older than `$1` hours. */
export const PRUNE_FAILURES = sql(
	"prune_failures",
	`with old as (
		select order_id, attempt, step, tries from step_failures
		where time < now() - make_interval(secs => $1 * 3600.0) order by time limit ${PRUNE_LIMIT}),
	pruned as (
		delete from step_failures f using old
		where f.order_id = old.order_id and f.attempt = old.attempt and f.step = old.step
			and f.tries = old.tries returning 1)
	select count(*) as count from pruned`,
);

export const HEARTBEAT = sql(
	"heartbeat",
	`insert into saga_nodes (id, lease_until) values ($1, now() + make_interval(secs => $2 / 1000.0))
	on conflict (id) do update set lease_until = excluded.lease_until`,
);
export const RELEASE = sql("release", "delete from saga_nodes where id = $1");

/** Size of an order's data in the messages of its steps, at least. */
const BYTES = `coalesce(octet_length(items::text), 0) + coalesce(octet_length(priced::text), 0)
				+ coalesce(octet_length(shipping_address), 0)`;
const TAKE_OVER = `saga_owner = $1, saga_attempt = saga_attempt + 1, saga_since = now(),
			saga_wake_at = null`;
/**
 * Takes over open sagas whose owner's lease has expired, sagas that this node has owned for longer
 * than a lease without running them, and parked sagas that are due. Parameters: `$1` this node,
 * `$2` maximum number, `$3` orders whose sagas run on this node, `$4` lease in milliseconds. `$5`
 * limits the bytes of all orders, because sagas that are claimed together reach their next step
 * together.
 */
export const CLAIM = sql(
	"claim",
	`with expired as (delete from saga_nodes where lease_until < now() - interval '1 hour'),
	due as materialized (
		select * from (
			select id, saga_since, ${BYTES} as bytes
			from orders o
			where saga_state in ('forward', 'backward') and id <> all($3::uuid[])
				and (not exists (
						select from saga_nodes n where n.id = o.saga_owner and n.lease_until > now())
					or (saga_owner = $1 and saga_since < now() - make_interval(secs => $4 / 1000.0)))
			order by saga_since limit $2 for update skip locked) abandoned
		union all select * from (
			select id, saga_wake_at, ${BYTES}
			from orders
			where saga_state = 'waiting' and saga_wake_at <= now() and id <> all($3)
			order by saga_wake_at limit $2 for update skip locked) parked),
	fitting as (
		select id from (
			select id, sum(bytes) over (order by saga_since, id) - bytes as before from due) d
		where before < $5::bigint),
	mine as (
		update orders o set ${TAKE_OVER},
			saga_state = case saga_state when 'waiting' then 'forward' else saga_state end,
			saga_resumed_at = case saga_state when 'waiting' then now() else saga_resumed_at end
		from fitting f where o.id = f.id returning o.*)
	select ${SAGA} from mine o`,
);

/**
 * Starts the cancellation of an order whose saga runs forward, waits, has completed or is stuck;
 * returns no row if it is already being compensated. `$3` is the reason, `$4` the trace of the
 * request. A stuck saga keeps its first reason.
 */
export const BEGIN_CANCELLATION = sql(
	"begin_cancellation",
	`with mine as (
		update orders set saga_state = 'backward', ${TAKE_OVER},
			saga_reason = case when saga_state = 'stuck' then saga_reason else $3 end,
			traceparent = coalesce($4, traceparent)
		where id = $2 and (
			(status = 'pending' and saga_state in ('forward', 'waiting'))
			or (status = 'confirmed' and saga_state is null)
			or saga_state = 'stuck')
		returning *)
	select ${SAGA} from mine o`,
);
