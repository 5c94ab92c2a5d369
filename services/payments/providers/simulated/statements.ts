import { sql } from "../../../../lib/persistence/database.ts";
import type { ProviderResult } from "../provider.ts";
import { FAILING_REFUNDS, PENDING_REFUNDS } from "./cards.ts";

/** A row of the ledger. */
export interface Entry {
	key: string;
	status: ProviderResult["status"];
	amount: number;
	reason: string | null;
	/** Null if the authorization was captured in the same request. */
	capture_key: string | null;
	/** Whether this statement inserted the row. */
	fresh: boolean;
	/** Only of a fresh capture. */
	token: string | null;
}

/** In rows of an earlier version, `cancelled` marks a key that was closed with a full refund. */
const CHARGES = `
	select key, case when cancelled is null then status else 'closed' end as status, amount, reason,
		capture_key, false as fresh, null as token
	from ledger_charges`;
const IS_OPEN = "not exists (select from ledger_charges c where c.key = a.key)";

/** Charges and open authorizations by key. */
export const LOOKUP = sql(
	"ledger_lookup",
	`${CHARGES} where key = any($1::text[])
	union all select key, status, amount, null, null, false, null
		from ledger_authorizations a where key = any($1) and ${IS_OPEN}`,
);

const CHARGES_TO_INSERT = `
	select key, status, amount, currency, reason
	from unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::text[])
		as w (key, status, amount, currency, reason)`;
const INSERT_CHARGES = `
	insert into ledger_charges (key, status, amount, currency, reason)
	${CHARGES_TO_INSERT} order by key`;

/**
 * Optimistic insert of charges: fails as a whole if one of the keys exists. The commit does not
 * wait for the disk: the ledger of a real provider is not in this database either. The statement
 * that records the payment flushes both, because it follows on the same server.
 */
export const CHARGE_NEW = sql(
	"ledger_charge_new",
	`with settings as materialized (
			select set_config('synchronous_commit', 'off', true) as synchronous_commit)
	insert into ledger_charges (key, status, amount, currency, reason)
	select w.* from settings, (${CHARGES_TO_INSERT}) w
	where synchronous_commit is not null order by key`,
);

/** Inserts missing charges and returns the charges of the keys in `$6`. */
export const CHARGE = sql(
	"ledger_charge",
	`with inserted as (${INSERT_CHARGES}
			on conflict (key) do nothing returning key, status, amount, reason)
	select key, status, amount, reason, null as capture_key, true as fresh, null as token
	from inserted
	union all ${CHARGES} where key = any($6::text[])`,
);

/**
 * Inserts authorizations and returns the new keys. `status` is that of an authorization until it is
 * captured, and `capture` whether it is captured as soon as the buyer or a bank has agreed.
 */
export const AUTHORIZE = sql(
	"ledger_authorize",
	`insert into ledger_authorizations as a (key, amount, currency, token, status, capture)
	select key, amount, currency, token, status, capture
	from unnest($1::text[], $2::numeric[], $3::text[], $4::text[], $5::text[], $6::boolean[])
		as a (key, amount, currency, token, status, capture)
	where ${IS_OPEN} order by key on conflict (key) do nothing returning key`,
);

/** Captures authorizations of at least the amount, and returns the charges of all keys. */
export const CAPTURE = sql(
	"ledger_capture",
	`with inserted as (
			insert into ledger_charges (key, status, amount, currency, capture_key)
			select a.key, 'captured', w.amount, a.currency, w.capture_key
			from unnest($1::text[], $2::text[], $3::numeric[]) as w (key, capture_key, amount)
			join ledger_authorizations a
				on a.key = w.key and a.status = 'authorized' and a.amount >= w.amount
			order by a.key on conflict (key) do nothing returning key, status, amount, capture_key)
	select key, inserted.status, inserted.amount, null as reason, capture_key, true as fresh, token
	from inserted join ledger_authorizations using (key)
	union all ${CHARGES} where key = any($1)`,
);

/** Closes keys without a charge that no bank is processing, and returns the charges of all keys. */
export const VOID = sql(
	"ledger_void",
	`with inserted as (
			insert into ledger_charges (key, status, amount, currency)
			select key, 'closed', 0, '' from unnest($1::text[]) as w (key)
			where not exists (
				select from ledger_authorizations a where a.key = w.key and a.status = 'processing')
			order by key on conflict (key) do nothing returning key, status, amount)
	select key, status, amount, null as reason, null as capture_key, true as fresh, null as token
	from inserted
	union all ${CHARGES} where key = any($1)`,
);

const REFUND_STATUS = `case a.token when '${PENDING_REFUNDS}' then 'pending'
				when '${FAILING_REFUNDS}' then 'failed' else 'succeeded' end`;
/**
 * Refunds charges. Fails as a whole if a refund exceeds the rest (check constraint) or if its
 * charge does not exist (foreign key). Ignores refunds of zero, and of charges that were closed
 * after their capture. Like real providers, the ledger forgets idempotency keys after 24 hours: the
 * same request then pays again.
 */
export const REFUND = sql(
	"ledger_refund",
	`with wanted as (
			select * from unnest($1::text[], $2::text[], $3::numeric[]) as w (key, charge_key, amount)),
		inserted as (
			insert into ledger_refunds as r (key, charge_key, amount, status, failed_at)
			select w.key, w.charge_key, w.amount, ${REFUND_STATUS},
				case when a.token = '${FAILING_REFUNDS}' then now() end
			from wanted w
			left join ledger_charges c on c.key = w.charge_key
			left join ledger_authorizations a on a.key = w.charge_key
			where c.cancelled is null and w.amount > 0
			order by w.key on conflict (key) do update
				set amount = r.amount + excluded.amount, at = now()
				where r.at < now() - interval '24 hours'
			returning key, status)
	update ledger_charges c set refunded = c.refunded + paid.amount
	from (
		select charge_key, sum(amount) as amount
		from wanted join inserted using (key) where status <> 'failed' group by charge_key) paid
	where c.key = paid.charge_key`,
);

export const REFUND_FAILURE = "The account is closed";
/** Refunds by key. */
export const FIND_REFUNDS = sql(
	"ledger_find_refunds",
	"select key, amount, status from ledger_refunds where key = any($1::text[])",
);

/** Counts an attempt of each key and returns the counts. */
export const COUNT_ATTEMPTS = sql(
	"ledger_attempt",
	`insert into ledger_attempts as a (key, attempts)
	select key, 1 from unnest($1::text[]) as w (key) order by key
	on conflict (key) do update set attempts = a.attempts + 1 returning key, attempts`,
);

/** Keys are UUIDs in lower case, which every collation sorts alike. */
const RANGE = "key > $1 and ($2::text is null or key <= $2)";

/** One page of the ledger. The refunded amount is the sum of the refunds, not of the charge. */
export const LEDGER_PAGE = sql(
	"ledger_books",
	`select key, authorized, charged, (
			select coalesce(sum(r.amount), 0) from ledger_refunds r
			where r.charge_key = page.key and r.status <> 'failed') as refunded
	from (
		select * from (
			select key, 0 as authorized, amount as charged from ledger_charges where ${RANGE}
			union all select key, amount, 0 from ledger_authorizations a
				where ${RANGE} and a.status = 'authorized' and ${IS_OPEN}) charges_and_authorizations
		order by key limit $3) page
	order by key`,
);

/** All transactions of the keys. */
export const TRANSACTIONS = sql(
	"ledger_transactions",
	`select key, 'authorization' as type, 'succeeded' as state, amount, key as reference,
			null as reason, at
		from ledger_authorizations where key = any($1::text[]) and status = 'authorized'
	union all select key, case c.status when 'closed' then 'void' else 'capture' end,
			case c.status when 'declined' then 'failed' else 'succeeded' end,
			case c.status when 'captured' then c.amount else coalesce(a.amount, 0) end, key, reason, c.at
		from ledger_charges c left join ledger_authorizations a using (key) where key = any($1)
	union all select charge_key, 'refund', 'requested', amount, key, null, at
		from ledger_refunds where charge_key = any($1)
	union all select charge_key, 'refund', 'succeeded', amount, key, null, coalesce(paid_at, at)
		from ledger_refunds
		where charge_key = any($1) and (status = 'succeeded' or paid_at is not null)
	union all select charge_key, 'refund_failed', 'succeeded', amount, key, '${REFUND_FAILURE}',
			failed_at
		from ledger_refunds where charge_key = any($1) and status = 'failed'
	union all select charge_key, 'dispute', 'succeeded', amount, charge_key, 'fraudulent', at
		from ledger_disputes where charge_key = any($1)
	union all select charge_key, 'dispute_reversed', 'succeeded', amount, charge_key, null,
			reversed_at
		from ledger_disputes where charge_key = any($1) and reversed_at is not null`,
);
