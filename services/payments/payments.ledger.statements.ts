import { sql } from "../../lib/persistence/database.ts";
import { COLUMNS, ISO_TIME, REFUNDS } from "./payments.statements.ts";

const STORED_COLUMNS = `${COLUMNS}, buyer_id, decline_reason, reversal, reference, client_secret,
	redirect_url`;

/** Payments and tombstones by order ID, locked until the end of the transaction. */
export const LOCK_PAYMENTS = sql(
	"lock_payments",
	`select ${STORED_COLUMNS} from payments where order_id = any($1::uuid[])
	order by order_id for update`,
);

/** A payment by its ID, locked until the end of the transaction. */
export const LOCK_PAYMENT = sql(
	"lock_payment",
	`select ${STORED_COLUMNS} from payments where id = $1 and user_id is not null for update`,
);

/** Refunds and stored transactions of payment `p`, the amounts of the latter in minor units. */
const LEDGER = `${REFUNDS}, coalesce((
		select json_agg(json_build_object('type', t.type, 'state', t.state, 'amount', t.amount,
			'reference', t.reference, 'reason', t.reason,
			'at', to_char(t.at at time zone 'UTC', ${ISO_TIME})) order by t.at, t.type, t.reference)
		from payment_transactions t where t.payment_id = p.id), '[]') as stored`;

/**
 * The ledgers of payments. A statement of its own after the lock: a statement that waits for a lock
 * reads the other tables as they were before the wait.
 */
export const LEDGERS = sql(
	"ledgers",
	`select id, ${LEDGER} from payments p where id = any($1::uuid[])`,
);

/** Payment `$1` with its ledger. */
export const GET = sql(
	"get_payment",
	`select ${STORED_COLUMNS}, ${LEDGER} from payments p
	where id = $1 and user_id is not null`,
);

/** Fields of the parameters of {@link INSERT_TRANSACTIONS}. */
export const TRANSACTION_FIELDS = [
	"payment_id",
	"type",
	"state",
	"reference",
	"amount",
	"reason",
	"at",
] as const;
export const INSERT_TRANSACTIONS = sql(
	"insert_transactions",
	`insert into payment_transactions (payment_id, type, state, reference, amount, reason, at)
	select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
		$7::timestamptz[])
	on conflict do nothing`,
);

/** Fields of the parameters of {@link UPDATE_PAYMENTS}. */
export const UPDATE_FIELDS = [
	"id",
	"status",
	"refunded_amount",
	"authorized_at",
	"captured_at",
	"voided_at",
	"expires_at",
	"reference",
	"decline_reason",
	"decline_code",
	"client_secret",
	"redirect_url",
] as const;
/** Updates locked payments. The next lookup of a payment with new transactions is due soon. */
export const UPDATE_PAYMENTS = sql(
	"update_payments",
	`update payments p set status = w.status, refunded_amount = w.refunded_amount,
		authorized_at = w.authorized_at, captured_at = w.captured_at, voided_at = w.voided_at,
		expires_at = w.expires_at, reference = w.reference, decline_reason = w.decline_reason,
		decline_code = w.decline_code, client_secret = w.client_secret,
		redirect_url = w.redirect_url, updated_at = now(), checks = 0, check_at = now()
	from unnest($1::uuid[], $2::text[], $3::numeric[], $4::timestamptz[], $5::timestamptz[],
			$6::timestamptz[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[],
			$12::text[])
		as w (id, status, refunded_amount, authorized_at, captured_at, voided_at, expires_at,
			reference, decline_reason, decline_code, client_secret, redirect_url)
	where p.id = w.id`,
);

/** Inserts refunds: ID, payment, amount and reason. */
export const INSERT_REFUNDS = sql(
	"insert_refunds",
	`insert into refunds (id, payment_id, amount, reason)
	select * from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::text[])`,
);

/** Copies the results of refunds from the ledgers of payments. */
export const UPDATE_REFUNDS = sql(
	"update_refunds",
	`update refunds r set settled_at = coalesce(r.settled_at, t.settled_at),
		failed_at = coalesce(r.failed_at, t.failed_at), failure_reason = t.failure_reason,
		attempts = 0, next_at = now() + interval '1 hour'
	from (
		select payment_id, reference,
			min(at) filter (where type = 'refund' and state = 'succeeded') as settled_at,
			min(at) filter (where type = 'refund_failed' or state = 'failed') as failed_at,
			min(reason) filter (where type = 'refund_failed' or state = 'failed') as failure_reason
		from payment_transactions
		where payment_id = any($1::uuid[]) and type in ('refund', 'refund_failed')
		group by payment_id, reference) t
	where r.payment_id = t.payment_id and r.id::text = t.reference
		and (t.settled_at is not null and r.settled_at is null
			or t.failed_at is not null and r.failed_at is null)`,
);

/** Inserts events in their order. */
export const INSERT_EVENTS = sql(
	"insert_payment_events",
	`insert into outbox (type, subject, data, traceparent)
	select type, subject, data, traceparent
	from unnest($1::text[], $2::text[], $3::json[], $4::text[]) with ordinality
		as w (type, subject, data, traceparent, position)
	order by position`,
);
