import { sql } from "../../lib/persistence/database.ts";
import { payment } from "./payments.contract.ts";
import { GUEST } from "./payments.rules.ts";

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

export const COLUMNS = Object.keys(payment).join(", ");
export const ISO_TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
/** The refunds of payment `p` as a list. */
export const REFUNDS = `coalesce((
		select json_agg(json_build_object('id', r.id, 'amount', r.amount, 'reason', r.reason,
			'created_at', to_char(r.at at time zone 'UTC', ${ISO_TIME}),
			'settled_at', to_char(r.settled_at at time zone 'UTC', ${ISO_TIME}),
			'failed_at', to_char(r.failed_at at time zone 'UTC', ${ISO_TIME}),
			'failure_reason', r.failure_reason) order by r.at, r.id)
		from refunds r where r.payment_id = p.id), '[]') as refunds`;

/** Columns of a payment in a response: a guest has no user. */
const PUBLIC_COLUMNS = COLUMNS.replace("user_id", `nullif(user_id, '${GUEST}') as user_id`);

/** The payment of order `$1` with its refunds. */
export const LIST = sql(
	"payments_of_order",
	`select ${PUBLIC_COLUMNS}, ${REFUNDS} from payments p
	where order_id = $1 and user_id is not null`,
);

/** Failed refunds whose amount the payer has not received otherwise, newest first. */
export const FAILED_REFUNDS = sql(
	"failed_refunds",
	`select r.id, p.order_id, p.id as payment_id, r.amount, p.currency, r.failed_at,
		r.failure_reason
	from refunds r join payments p on p.id = r.payment_id
	where r.failed_at > now() - interval '90 days'
		and (p.user_id is null or p.amount > p.refunded_amount)
	order by r.failed_at desc limit $1`,
);

/** One page of payments and tombstones, in order of order IDs. */
export const AUDIT_PAYMENTS = sql(
	"audit_payments",
	`select order_id, amount, status, refunded_amount,
		(select coalesce(sum(r.amount), 0) from refunds r
			where r.payment_id = p.id and r.settled_at is null and r.failed_at is null) as unsettled,
		(select count(*) from refunds r
			where r.payment_id = p.id and r.failed_at > now() - interval '90 days'
				and p.amount > p.refunded_amount) as failed_refunds
	from payments p
	where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

/**
 * Fields of the parameters of {@link RECORD}. The traceparents follow, and then, except for
 * {@link RECORD_NEW}, the references and decline codes; each is null if no row has one.
 */
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
/**
 * @param details further columns, each preceded by a comma
 * @param types types of these columns, in the same form
 */
const insertPayments = (details = "", types = "") => `
	with wanted as (
			select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[],
				$6::text[], $7::text[], $8::text[], $9::json[], $10::text[]${types})
			as w (id, order_id, user_id, amount, currency, status, decline_reason, type, event,
				traceparent${details})),
		inserted as (
			insert into payments (id, order_id, user_id, amount, currency, status, decline_reason,
				authorized_at, captured_at${details})
			select id, order_id, user_id, amount, currency, status, decline_reason,
				case when status <> 'declined' then now() end,
				case when status = 'captured' then now() end${details}
			from wanted order by order_id`;
const INSERT_DETAILED = insertPayments(", reference, decline_code", ", $11::text[], $12::text[]");
const PUBLISH_WANTED = `
	insert into outbox (type, subject, data, traceparent)
		select type, order_id::text, event, traceparent from wanted`;

/** Optimistic insert: fails as a whole if one of the orders already has a payment or tombstone. */
export const RECORD_NEW = sql("record_new", `${insertPayments()})${PUBLISH_WANTED}`);
/** The same with references and decline codes, which the simulated provider does not have. */
export const RECORD_NEW_DETAILED = sql(
	"record_new_detailed",
	`${INSERT_DETAILED})${PUBLISH_WANTED}`,
);

/**
 * Inserts missing payments and returns the state of every payment in the batch, without those that
 * a concurrent transaction is inserting.
 */
export const RECORD = sql(
	"record",
	`${INSERT_DETAILED}
			on conflict (order_id) do nothing
			returning id, order_id, status, decline_reason, reversal),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select type, order_id::text, event, traceparent
			from inserted join wanted using (order_id))
	select id, order_id, status, decline_reason, reversal from inserted
	union all select id, order_id, status, decline_reason, reversal from payments
		where order_id = any($2)`,
);

/**
 * Inserts missing payments that wait for the buyer or for a bank. `$7` is the time that the buyer
 * has, in seconds.
 */
export const RECORD_WAITING = sql(
	"record_waiting",
	`insert into payments (id, order_id, user_id, amount, currency, status, expires_at)
	select id, order_id, user_id, amount, currency, status,
		case when status = 'requires_action' then now() + make_interval(secs => $7) end
	from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::text[])
		as w (id, order_id, user_id, amount, currency, status)
	order by order_id on conflict (order_id) do nothing`,
);

/** Maximum number of rows that one poll claims. */
export const CLAIM_LIMIT = 100;
/** A younger row is probably still handled by the request that wrote it. */
const GRACE = "interval '10 seconds'";
/**
 * Exponential backoff with jitter, from 5–10 seconds up to 15 minutes.
 * @param attempts column with the number of earlier attempts
 */
export const backoff = (attempts: string) =>
	`make_interval(secs =>
		least(900, 10 * power(2, least(${attempts}, 10))) * (0.5 + random() / 2))`;

/**
 * Claims payments whose status at the provider is looked up: open ones and those in reversal. The
 * claim schedules the next attempt, so it is also the lease: no other node takes the row before
 * then, a dead node only delays it, and a row that keeps failing gives way to others.
 */
export const CLAIM_OPEN = sql(
	"claim_open",
	`with due as materialized (
			select id from payments
			where (status in ('requires_action', 'processing', 'authorized') or reversal = 'begun')
				and check_at <= now() and updated_at < now() - ${GRACE}
			order by check_at limit ${CLAIM_LIMIT} for update skip locked)
	update payments p set checks = checks + 1, check_at = now() + ${backoff("p.checks")}
	from due where p.id = due.id
	returning p.order_id, p.reversal is not null as is_reversed`,
);

/**
 * Whether the provider may have forgotten an idempotency key since its first use. Providers keep
 * keys for 24 hours; half of that leaves room for requests in flight and clock differences.
 */
const isStale = (firstUsed: string) => `${firstUsed} < now() - interval '12 hours'`;

/**
 * Begins the reversal of orders and returns their payments; an order without a payment gets a
 * tombstone with an ID of `$1`. The conflict clause always updates, so every row is
 * returned.
 */
export const BEGIN_REVERSAL = sql(
	"begin_reversal",
	`insert into payments as p (id, order_id, currency, buyer_id, status, reversal, reversal_at)
	select id, order_id, coalesce(currency, ''), buyer_id, 'cancelled', 'begun', now()
	from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[])
		as w (id, order_id, currency, buyer_id)
	order by order_id
	on conflict (order_id) do update set reversal = coalesce(p.reversal, 'begun'),
		updated_at = now(),
		reversal_at = coalesce(p.reversal_at,
			case when p.reversal is null then now() else p.created_at end)
	returning id, order_id, status, reversal`,
);

/** Marks reversals as complete. */
export const END_REVERSAL = sql(
	"end_reversal",
	`with locked as materialized (
			select id from payments where id = any($1::uuid[]) and reversal is not distinct from 'begun'
			order by order_id for update)
	update payments p set reversal = 'done', updated_at = now() from locked where p.id = locked.id`,
);

/** An earlier version requested the refund of a reversal before it recorded the refund. */
const FIRST_REQUEST = "case when r.id = p.id then least(r.at, p.reversal_at) else r.at end";
const REFUND = `r.id, r.amount, p.id as payment_id, p.order_id,
		${isStale(FIRST_REQUEST)} as stale_key`;

/** Refunds of the given payments that are neither settled nor failed, oldest first. */
export const UNSETTLED_OF = sql(
	"unsettled_of",
	`select ${REFUND} from refunds r join payments p on p.id = r.payment_id
	where r.settled_at is null and r.failed_at is null and p.id = any($1::uuid[])
	order by r.at, r.id`,
);

/**
 * Claims settled refunds whose payments are looked up, because a refund may fail weeks after it was
 * paid. The interval doubles from one hour; after 30 days the result is final.
 */
export const CLAIM_SETTLED = sql(
	"claim_settled",
	`with due as materialized (
			select id from refunds
			where settled_at is not null and failed_at is null and next_at <= now()
			order by next_at limit ${CLAIM_LIMIT} for update skip locked)
	update refunds r set attempts = attempts + 1,
		next_at = case when r.settled_at < now() - interval '30 days' then 'infinity'
			else now() + make_interval(hours => power(2, least(r.attempts, 10))::int) end
	from due, payments p where r.id = due.id and p.id = r.payment_id
	returning p.order_id, r.settled_at < now() - interval '30 days' as is_final`,
);

/** Claims unsettled refunds, as {@link CLAIM_OPEN} claims open payments. */
export const CLAIM_UNSETTLED = sql(
	"claim_unsettled",
	`with due as materialized (
			select id from refunds
			where settled_at is null and failed_at is null and next_at <= now() and at < now() - ${GRACE}
			order by next_at limit ${CLAIM_LIMIT} for update skip locked)
	update refunds r set attempts = attempts + 1, next_at = now() + ${backoff("r.attempts")}
	from due, payments p where r.id = due.id and p.id = r.payment_id
	returning ${REFUND}`,
);
