import { sql } from "../../lib/persistence/database.ts";
import { payment } from "./payments.contract.ts";

/*
 * Each statement handles any number of payments and writes state and events in one transaction. The
 * parameters are parallel arrays, see `columns`. Rows are locked in order of `order_id`, so that
 * concurrent batches cannot deadlock.
 */

/** Rows as parallel arrays, one for each field. */
export const columns = <Field extends string>(
	rows: readonly Record<Field, unknown>[],
	fields: readonly Field[],
) => fields.map((field) => rows.map((row) => row[field]));

const COLUMNS = Object.keys(payment).join(", ");
const ISO_TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const REFUNDS = `coalesce((
		select json_agg(json_build_object('id', r.id, 'amount', r.amount, 'reason', r.reason,
			'created_at', to_char(r.at at time zone 'UTC', ${ISO_TIME}),
			'settled_at', to_char(r.settled_at at time zone 'UTC', ${ISO_TIME}),
			'failed_at', to_char(r.failed_at at time zone 'UTC', ${ISO_TIME}),
			'failure_reason', r.failure_reason) order by r.at, r.id)
		from refunds r where r.payment_id = p.id), '[]') as refunds`;

/** The payment of order `$1` with its refunds; `$2` limits it to that user's unless null. */
export const LIST = sql(
	"payments_of_order",
	`select ${COLUMNS}, ${REFUNDS} from payments p
	where order_id = $1 and user_id is not null and ($2::uuid is null or user_id = $2)`,
);

/**
 * Payment `$1` with refunds and transactions, the amounts of these in minor units; `$2` limits it to
 * that user's unless null.
 */
export const GET = sql(
	"get_payment",
	`select ${COLUMNS}, ${REFUNDS}, reference, client_secret, redirect_url, coalesce((
		select json_agg(json_build_object('type', t.type, 'state', t.state, 'amount', t.amount,
			'reference', t.reference, 'reason', t.reason,
			'at', to_char(t.at at time zone 'UTC', ${ISO_TIME})) order by t.at, t.type, t.reference)
		from payment_transactions t where t.payment_id = p.id), '[]') as transactions
	from payments p
	where id = $1 and user_id is not null and ($2::uuid is null or user_id = $2)`,
);

/** One page of payments and tombstones, in order of order IDs. */
export const AUDIT_PAYMENTS = sql(
	"audit_payments",
	`select order_id, amount, status, refunded_amount,
		(select coalesce(sum(r.amount), 0) from refunds r
			where r.payment_id = p.id and r.settled_at is null) as unsettled
	from payments p
	where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

/** Fields of the parameters of {@link RECORD}; the traceparents follow. */
export const RECORD_FIELDS = [
	"id",
	"order_id",
	"user_id",
	"amount",
	"currency",
	"status",
	"decline_reason",
	"type",
	"event",
] as const;
const INSERT_PAYMENTS = `
	with wanted as (
			select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[],
				$6::text[], $7::text[], $8::text[], $9::json[], $10::text[])
			as w (id, order_id, user_id, amount, currency, status, decline_reason, type, event,
				traceparent)),
		inserted as (
			insert into payments (id, order_id, user_id, amount, currency, status, decline_reason,
				authorized_at, captured_at)
			select id, order_id, user_id, amount, currency, status, decline_reason,
				case when status <> 'declined' then now() end,
				case when status = 'captured' then now() end
			from wanted order by order_id`;

/** Optimistic insert: fails as a whole if one of the orders already has a payment or tombstone. */
export const RECORD_NEW = sql(
	"record_new",
	`${INSERT_PAYMENTS})
	insert into outbox (type, subject, data, traceparent)
		select type, order_id::text, event, traceparent from wanted`,
);

/**
 * Inserts missing payments and returns the state of every payment in the batch, without those that
 * a concurrent transaction is inserting.
 */
export const RECORD = sql(
	"record",
	`${INSERT_PAYMENTS}
			on conflict (order_id) do nothing returning id, order_id, status, decline_reason, reversal),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select type, order_id::text, event, traceparent
			from inserted join wanted using (order_id))
	select id, order_id, status, decline_reason, reversal from inserted
	union all select id, order_id, status, decline_reason, reversal from payments
		where order_id = any($2)`,
);

/**
 * Records the capture of authorized payments, also during their reversal, and returns the state of
 * all payments in the batch.
 */
export const RECORD_CAPTURES = sql(
	"captured",
	`with wanted as (
			select * from unnest($1::uuid[], $2::text[], $3::json[], $4::text[])
				as w (id, status, event, traceparent)),
		locked as materialized (
			select * from payments where id = any($1) order by order_id for update),
		captured as (
			update payments p set status = w.status, captured_at = now(), updated_at = now()
			from wanted w join locked using (id) where p.id = w.id and locked.status = 'authorized'
			returning p.id, p.order_id, p.status, w.event, w.traceparent),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'payment.captured', order_id::text, event, traceparent from captured)
	select id, locked.order_id, coalesce(captured.status, locked.status) as status, decline_reason,
		reversal
	from locked left join captured using (id)`,
);

/** Maximum number of rows that one poll claims. */
export const CLAIM_LIMIT = 100;
/** A younger row is probably still handled by the request that wrote it. */
const GRACE = "interval '10 seconds'";
/**
 * Exponential backoff with jitter, from 5–10 seconds up to 15 minutes.
 * @param attempts column with the number of earlier attempts
 */
const backoff = (attempts: string) =>
	`make_interval(secs =>
		least(900, 10 * power(2, least(${attempts}, 10))) * (0.5 + random() / 2))`;

/**
 * Claims authorized payments whose status at the provider is looked up. The claim schedules the
 * next attempt, so it is also the lease: no other node takes the row before then, a dead node only
 * delays it, and a row that keeps failing gives way to others.
 */
export const CLAIM_AUTHORIZED = sql(
	"claim_authorized",
	`with due as materialized (
			select id from payments
			where status = 'authorized' and check_at <= now() and updated_at < now() - ${GRACE}
			order by check_at limit ${CLAIM_LIMIT} for update skip locked)
	update payments p set checks = checks + 1, check_at = now() + ${backoff("p.checks")}
	from due where p.id = due.id
	returning p.id, p.order_id, p.amount, p.currency, p.status`,
);

/**
 * Whether the provider may have forgotten an idempotency key since its first use. Providers keep
 * keys for 24 hours; half of that leaves room for requests in flight and clock differences.
 */
const isStale = (firstUsed: string) => `${firstUsed} < now() - interval '12 hours'`;

/**
 * Begins the reversal of orders and returns their payments; an order without a payment gets a
 * tombstone with an ID of `$1` and status `$3`. The conflict clause always updates, so every row is
 * returned.
 */
export const BEGIN_REVERSAL = sql(
	"begin_reversal",
	`insert into payments as p (id, order_id, status, reversal, reversal_at)
	select id, order_id, $3, 'begun', now()
	from unnest($1::uuid[], $2::uuid[]) as w (id, order_id) order by order_id
	on conflict (order_id) do update set reversal = coalesce(p.reversal, 'begun'),
		updated_at = now(),
		reversal_at = coalesce(p.reversal_at,
			case when p.reversal is null then now() else p.created_at end)
	returning ${COLUMNS}, reversal, ${isStale("p.reversal_at")} as stale_key`,
);

/** Fields of the parameters of {@link END_REVERSAL}; the traceparents follow. */
export const REVERSAL_FIELDS = ["id", "status", "type", "event", "paid_back"] as const;

/**
 * Ends reversals, once each. A row without an event changed nothing that an earlier event had
 * published.
 */
export const END_REVERSAL = sql(
	"end_reversal",
	`with wanted as (
			select * from unnest(
				$1::uuid[], $2::text[], $3::text[], $4::json[], $5::numeric[], $6::text[])
				as w (id, status, type, event, paid_back, traceparent)),
		locked as materialized (
			select id from payments where id = any($1) and reversal = 'begun'
			order by order_id for update),
		ended as (
			update payments p set status = w.status, refunded_amount = p.refunded_amount + w.paid_back,
				reversal = 'done', updated_at = now(),
				voided_at = case when w.status = 'voided' then now() end
			from wanted w join locked using (id) where p.id = w.id
			returning p.id, p.order_id, w.paid_back, w.type, w.event, w.traceparent),
		-- The refund's ID is its idempotency key at the provider.
		refund as (
			insert into refunds (id, payment_id, amount, reason, settled_at)
			select id, id, paid_back, 'reversed', now() from ended where type = 'payment.refunded')
	insert into outbox (type, subject, data, traceparent)
		select type, order_id::text, event, traceparent from ended where type is not null`,
);

/** A payment, locked until the end of the transaction. */
export const LOCK_PAYMENT = sql(
	"lock_payment",
	`select ${COLUMNS}, reversal from payments where id = $1 and user_id is not null for update`,
);

/** Inserts refund `$2` of amount `$3` and adds it to the payment's refunded amount. */
export const RESERVE_REFUND = sql(
	"reserve_refund",
	`with refund as (insert into refunds (id, payment_id, amount, reason) values ($2, $1, $3, $4))
	update payments set status = $5, refunded_amount = refunded_amount + $3, updated_at = now()
	where id = $1`,
);

const REFUND = `r.id, r.amount, p.id as payment_id, p.order_id, p.currency,
		${isStale("r.at")} as stale_key`;

/** Unsettled refunds of the given payments. */
export const UNSETTLED_OF = sql(
	"unsettled_of",
	`select ${REFUND} from refunds r join payments p on p.id = r.payment_id
	where r.settled_at is null and p.id = any($1::uuid[])`,
);

/** Claims unsettled refunds, as {@link CLAIM_AUTHORIZED} claims authorized payments. */
export const CLAIM_UNSETTLED = sql(
	"claim_unsettled",
	`with due as materialized (
			select id from refunds
			where settled_at is null and next_at <= now() and at < now() - ${GRACE}
			order by next_at limit ${CLAIM_LIMIT} for update skip locked)
	update refunds r set attempts = attempts + 1, next_at = now() + ${backoff("r.attempts")}
	from due, payments p where r.id = due.id and p.id = r.payment_id
	returning ${REFUND}`,
);

/** Marks refunds as settled, once each. `$4`: traceparent of all events. */
export const SETTLE = sql(
	"settle",
	`with wanted as (
			select * from unnest($1::uuid[], $2::text[], $3::json[]) as w (id, order_id, event)),
		locked as materialized (
			select id from refunds where id = any($1) and settled_at is null order by id for update),
		settled as (
			update refunds r set settled_at = now()
			from wanted w join locked using (id) where r.id = w.id
			returning w.order_id, w.event)
	insert into outbox (type, subject, data, traceparent)
		select 'payment.refunded', order_id, event, $4::text from settled`,
);
