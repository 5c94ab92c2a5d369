import { sql } from "../../lib/persistence/database.ts";
import { payment } from "./payments.contract.ts";

const COLUMNS = Object.keys(payment).join(", ");
const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const REFUNDS = `coalesce((select json_agg(json_build_object('id', r.id, 'amount', r.amount, 'reason', r.reason,
	'created_at', to_char(r.at at time zone 'UTC', ${TIME}), 'settled_at', to_char(r.settled_at at time zone 'UTC', ${TIME})) order by r.at, r.id)
	from refunds r where r.payment_id = p.id), '[]') as refunds`;

/** The payment of the order `$1`, if it is of the user `$2` or that is null. */
export const LIST = sql(
	"payments_of_order",
	`select ${COLUMNS}, ${REFUNDS} from payments p where order_id = $1 and user_id is not null and ($2::uuid is null or user_id = $2)`,
);

export const AUDIT_PAYMENTS = sql(
	"audit_payments",
	`select order_id, amount, status, refunded_amount,
		(select coalesce(sum(r.amount), 0) from refunds r where r.payment_id = p.id and r.settled_at is null) as unsettled
	from payments p where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

const NEW_PAYMENTS = `with wanted as (select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::text[], $7::text[],
			$8::text[], $9::json[], $10::text[]) as w (id, order_id, user_id, amount, currency, status, decline_reason, type, fact, traceparent)),
		made as (insert into payments (id, order_id, user_id, amount, currency, status, decline_reason, authorized_at, captured_at)
			select id, order_id, user_id, amount, currency, status, decline_reason,
				case when status <> 'declined' then now() end, case when status = 'captured' then now() end
			from wanted order by order_id`;
/** For orders of which nothing is on record. */
export const RECORD_NEW = sql(
	"record_new",
	`${NEW_PAYMENTS}) insert into outbox (type, subject, data, traceparent) select type, order_id::text, fact, traceparent from wanted`,
);
/** Answers where each order stands now: nothing for one that another statement is recording at this very moment. */
export const RECORD = sql(
	"record",
	`${NEW_PAYMENTS} on conflict (order_id) do nothing returning id, order_id, status, decline_reason, reversal),
		told as (insert into outbox (type, subject, data, traceparent)
			select type, order_id::text, fact, traceparent from made join wanted using (order_id))
	select id, order_id, status, decline_reason, reversal from made
	union all select id, order_id, status, decline_reason, reversal from payments where order_id = any($2)`,
);

/** What was authorised is captured, once, and also while it is being reversed; answers where all of them stand then. */
export const CAPTURED = sql(
	"captured",
	`with wanted as (select * from unnest($1::uuid[], $2::text[], $3::json[], $4::text[]) as w (id, status, fact, traceparent)),
		locked as materialized (select * from payments where id = any($1) order by order_id for update),
		moved as (update payments p set status = w.status, captured_at = now(), updated_at = now()
			from wanted w join locked using (id) where p.id = w.id and locked.status = 'authorized'
			returning p.id, p.order_id, p.status, w.fact, w.traceparent),
		told as (insert into outbox (type, subject, data, traceparent)
			select 'payment.captured', order_id::text, fact, traceparent from moved)
	select id, locked.order_id, coalesce(moved.status, locked.status) as status, decline_reason, reversal from locked left join moved using (id)`,
);
/** The most rows that one turn of a sweep claims. */
export const SWEPT_AT_ONCE = 100;
/** A younger row is likely to be handled by the request that wrote it. */
const GRACE = "interval '10 seconds'";
/** Exponential backoff with jitter, from 5 to 10 seconds up to a quarter of an hour. `attempts` is the column that counts earlier attempts. */
const backoff = (attempts: string) =>
	`make_interval(secs => least(900, 10 * power(2, least(${attempts}, 10))) * (0.5 + random() / 2))`;
/**
 * Claims authorizations to look up. The claim itself schedules the next attempt, so it is also the lease: no other node takes the row before
 * then, a node that dies delays it only, and a row that keeps failing gives way to others.
 */
export const CLAIM_AUTHORIZED = sql(
	"claim_authorized",
	`with due as materialized (select id from payments
			where status = 'authorized' and check_at <= now() and updated_at < now() - ${GRACE}
			order by check_at limit ${SWEPT_AT_ONCE} for update skip locked)
	update payments p set checks = checks + 1, check_at = now() + ${backoff("p.checks")} from due where p.id = due.id
	returning p.id, p.order_id, p.amount, p.currency, p.status`,
);

/**
 * Whether the provider may have forgotten an idempotency key that was first used at a given time. Providers keep keys for 24 hours; half of that
 * leaves room for requests under way and for clocks that differ.
 */
const isStale = (firstUsed: string) => `${firstUsed} < now() - interval '12 hours'`;

/** Begins the reversal of orders, `$1` are ids for tombstones. An update in any case, so that it answers with what stands. */
export const BEGIN_REVERSAL = sql(
	"begin_reversal",
	`insert into payments as p (id, order_id, status, reversal, reversal_at)
	select id, order_id, $3, 'begun', now() from unnest($1::uuid[], $2::uuid[]) as w (id, order_id) order by order_id
	on conflict (order_id) do update set reversal = coalesce(p.reversal, 'begun'), updated_at = now(),
		reversal_at = coalesce(p.reversal_at, case when p.reversal is null then now() else p.created_at end)
	returning ${COLUMNS}, reversal, ${isStale("p.reversal_at")} as stale_key`,
);
/** `$3` and `$4` are events; a reversal without one moved no money that anybody knew of. */
export const END_REVERSAL = sql(
	"end_reversal",
	`with wanted as (select * from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::numeric[], $6::text[])
			as w (id, status, type, fact, paid_back, traceparent)),
		-- Each is ended once; and in one order, so that two nodes that end the same ones do not deadlock.
		locked as materialized (select id from payments where id = any($1) and reversal = 'begun' order by order_id for update),
		moved as (update payments p set status = w.status, refunded_amount = p.refunded_amount + w.paid_back, reversal = 'done', updated_at = now(),
				voided_at = case when w.status = 'voided' then now() end
			from wanted w join locked using (id) where p.id = w.id
			returning p.id, p.order_id, w.paid_back, w.type, w.fact, w.traceparent),
		-- Under the key that the provider knows it by.
		noted as (insert into refunds (id, payment_id, amount, reason, settled_at)
			select id, id, paid_back, 'reversed', now() from moved where type = 'payment.refunded')
	insert into outbox (type, subject, data, traceparent) select type, order_id::text, fact, traceparent from moved where type is not null`,
);

export const LOCK_PAYMENT = sql(
	"lock_payment",
	`select ${COLUMNS}, reversal from payments where id = $1 and user_id is not null for update`,
);
export const RESERVE_REFUND = sql(
	"reserve_refund",
	`with noted as (insert into refunds (id, payment_id, amount, reason) values ($2, $1, $3, $4))
	update payments set status = $5, refunded_amount = refunded_amount + $3, updated_at = now() where id = $1`,
);

const REFUND = `r.id, r.amount, p.id as payment_id, p.order_id, p.currency, ${isStale("r.at")} as stale_key`;
export const UNSETTLED_OF = sql(
	"unsettled_of",
	`select ${REFUND} from refunds r join payments p on p.id = r.payment_id where r.settled_at is null and p.id = any($1::uuid[])`,
);
/** Claims unsettled refunds, as CLAIM_AUTHORIZED claims authorizations. */
export const CLAIM_UNSETTLED = sql(
	"claim_unsettled",
	`with due as materialized (select id from refunds
			where settled_at is null and next_at <= now() and at < now() - ${GRACE}
			order by next_at limit ${SWEPT_AT_ONCE} for update skip locked)
	update refunds r set attempts = attempts + 1, next_at = now() + ${backoff("r.attempts")}
	from due, payments p where r.id = due.id and p.id = r.payment_id
	returning ${REFUND}`,
);
export const SETTLE = sql(
	"settle",
	`with wanted as (select * from unnest($1::uuid[], $2::text[], $3::json[]) as w (id, order_id, fact)),
		locked as materialized (select id from refunds where id = any($1) and settled_at is null order by id for update),
		settled as (update refunds r set settled_at = now() from wanted w join locked using (id) where r.id = w.id
			returning w.order_id, w.fact)
	insert into outbox (type, subject, data, traceparent) select 'payment.refunded', order_id, fact, $4::text from settled`,
);
