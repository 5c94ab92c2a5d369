import { sql } from "../../lib/database.ts";
import { payment } from "./payments.contract.ts";

const COLUMNS = Object.keys(payment).join(", ");

/** The payment of the order `$1`, if it is of the user `$2` or that is null. */
export const LIST = sql(
	"payments_of_order",
	`select ${COLUMNS} from payments where order_id = $1 and user_id is not null and ($2::uuid is null or user_id = $2)`,
);

export const AUDIT_PAYMENTS = sql(
	"audit_payments",
	`select order_id, amount, status, refunded_amount,
		(select coalesce(sum(r.amount), 0) from refunds r where r.payment_id = p.id and r.settled_at is null) as unsettled
	from payments p where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);

/** Answers where each order stands now: nothing for one that another statement is recording at this very moment. */
export const RECORD = sql(
	"record",
	`with wanted as (select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::text[], $7::text[], $8::text[], $9::json[],
			$10::text[]) as w (id, order_id, user_id, amount, currency, status, decline_reason, type, fact, traceparent)),
		made as (insert into payments (id, order_id, user_id, amount, currency, status, decline_reason)
			select id, order_id, user_id, amount, currency, status, decline_reason from wanted order by order_id
			on conflict (order_id) do nothing returning order_id, status, decline_reason, reversal),
		told as (insert into outbox (type, subject, data, traceparent)
			select type, order_id::text, fact, traceparent from made join wanted using (order_id))
	select order_id, status, decline_reason, reversal from made
	union all select order_id, status, decline_reason, reversal from payments where order_id = any($2)`,
);

/** Begins the reversal of orders, `$1` are ids for tombstones. An update in any case, so that it answers with what stands. */
export const BEGIN_REVERSAL = sql(
	"begin_reversal",
	`insert into payments as p (id, order_id, status, reversal)
	select id, order_id, $3, 'begun' from unnest($1::uuid[], $2::uuid[]) as w (id, order_id) order by order_id
	on conflict (order_id) do update set reversal = coalesce(p.reversal, 'begun'), updated_at = now()
	returning ${COLUMNS}, reversal`,
);
/** `$4` are events; a reversal without one moved no money that anybody knew of. */
export const END_REVERSAL = sql(
	"end_reversal",
	`with wanted as (select * from unnest($1::uuid[], $2::text[], $3::numeric[], $4::json[], $5::uuid[], $6::text[])
			as w (id, status, paid_back, fact, refund_id, traceparent)),
		-- Each is ended once; and in one order, so that two nodes that end the same ones do not deadlock.
		locked as materialized (select id from payments where id = any($1) and reversal = 'begun' order by order_id for update),
		moved as (update payments p set status = w.status, refunded_amount = p.refunded_amount + w.paid_back, reversal = 'done', updated_at = now()
			from wanted w join locked using (id) where p.id = w.id
			returning p.id, p.order_id, w.paid_back, w.fact, w.refund_id, w.traceparent),
		noted as (insert into refunds (id, payment_id, amount, reason, settled_at)
			select refund_id, id, paid_back, 'reversed', now() from moved where fact is not null)
	insert into outbox (type, subject, data, traceparent) select 'payment.refunded', order_id::text, fact, traceparent from moved where fact is not null`,
);

export const LOCK_PAYMENT = sql(
	"lock_payment",
	`select ${COLUMNS}, reversal from payments where id = $1 and user_id is not null for update`,
);
export const RESERVE_REFUND = sql(
	"reserve_refund",
	`with noted as (insert into refunds (id, payment_id, amount, reason) values ($2, $1, $3, $4))
	update payments set status = $5, refunded_amount = refunded_amount + $3, updated_at = now() where id = $1 returning ${COLUMNS}`,
);

const UNSETTLED = `select r.id, r.amount, p.id as payment_id, p.order_id, p.currency
	from refunds r join payments p on p.id = r.payment_id where r.settled_at is null`;
export const UNSETTLED_OF = sql("unsettled_of", `${UNSETTLED} and p.id = any($1::uuid[])`);
/** The most refunds that one sweep takes. */
export const SWEPT_AT_ONCE = 100;
/** Old enough that nobody is likely to be at it. */
export const UNSETTLED_FOR_LONG = sql(
	"unsettled_for_long",
	`${UNSETTLED} and r.at < now() - interval '10 seconds' order by r.at limit ${SWEPT_AT_ONCE}`,
);
export const SETTLE = sql(
	"settle",
	`with wanted as (select * from unnest($1::uuid[], $2::text[], $3::json[]) as w (id, order_id, fact)),
		locked as materialized (select id from refunds where id = any($1) and settled_at is null order by id for update),
		settled as (update refunds r set settled_at = now() from wanted w join locked using (id) where r.id = w.id
			returning w.order_id, w.fact)
	insert into outbox (type, subject, data, traceparent) select 'payment.refunded', order_id, fact, $4::text from settled`,
);
