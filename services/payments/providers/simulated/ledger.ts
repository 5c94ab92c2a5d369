import { sql } from "../../../../lib/persistence/database.ts";
import type { ProviderResult } from "../provider.ts";

/** What the ledger has under a key. */
export interface Entry {
	key: string;
	status: ProviderResult["status"];
	amount: number;
	reason: string | null;
	/** Null where the capture came with the authorisation. */
	capture_key: string | null;
	/** Written by this very statement. */
	fresh: boolean;
	/** Of a fresh capture. */
	token: string | null;
}

/** `cancelled` is how an earlier version closed a key, and paid back what was captured under it. */
const ENTRIES = `select key, case when cancelled is null then status else 'closed' end as status, amount, reason, capture_key, false as fresh,
	null as token from ledger_charges`;
const OPEN = "not exists (select from ledger_charges c where c.key = a.key)";
export const LOOKUP = sql(
	"ledger_lookup",
	`${ENTRIES} where key = any($1::text[])
	union all select key, 'authorized', amount, null, null, false, null from ledger_authorizations a where key = any($1) and ${OPEN}`,
);
const NEW_CHARGES = `insert into ledger_charges (key, status, amount, currency, reason)
			select key, status, amount, currency, reason from unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::text[])
				as w (key, status, amount, currency, reason) order by key`;
/** Authorises and captures under keys of which nothing is known. */
export const CHARGE_NEW = sql("ledger_charge_new", NEW_CHARGES);
/** Authorises and captures: writes the new ones of `$1`; answers with all entries under `$6`. */
export const CHARGE = sql(
	"ledger_charge",
	`with made as (${NEW_CHARGES}
			on conflict (key) do nothing returning key, status, amount, reason)
	select key, status, amount, reason, null as capture_key, true as fresh, null as token from made
	union all ${ENTRIES} where key = any($6::text[])`,
);
/** Authorises and no more; answers the keys that are new. */
export const AUTHORIZE = sql(
	"ledger_authorize",
	`insert into ledger_authorizations as a (key, amount, currency, token)
	select key, amount, currency, token from unnest($1::text[], $2::numeric[], $3::text[], $4::text[]) as a (key, amount, currency, token)
	where ${OPEN} order by key on conflict (key) do nothing returning key`,
);
export const CAPTURE = sql(
	"ledger_capture",
	`with made as (insert into ledger_charges (key, status, amount, currency, capture_key)
			select a.key, 'captured', w.amount, a.currency, w.capture_key
			from unnest($1::text[], $2::text[], $3::numeric[]) as w (key, capture_key, amount)
			join ledger_authorizations a on a.key = w.key and a.amount >= w.amount
			order by a.key on conflict (key) do nothing returning key, status, amount, capture_key)
	select key, status, made.amount, null as reason, capture_key, true as fresh, token from made join ledger_authorizations using (key)
	union all ${ENTRIES} where key = any($1)`,
);
export const VOID = sql(
	"ledger_void",
	`with made as (insert into ledger_charges (key, status, amount, currency) select key, 'closed', 0, '' from unnest($1::text[]) as w (key)
			order by key on conflict (key) do nothing returning key, status, amount)
	select key, status, amount, null as reason, null as capture_key, true as fresh, null as token from made
	union all ${ENTRIES} where key = any($1)`,
);
/**
 * A refund that exceeds what is left breaks the check of `refunded`, one of an unknown charge the foreign key, and nothing is written. What
 * was closed after its capture has nothing left to pay back, and to pay back nothing is done without a word. As real providers do, the ledger
 * forgets idempotency keys after 24 hours: the same request then pays once more.
 */
export const REFUND = sql(
	"ledger_refund",
	`with wanted as (select * from unnest($1::text[], $2::text[], $3::numeric[]) as w (key, charge_key, amount)),
		made as (insert into ledger_refunds as r (key, charge_key, amount)
			select w.key, w.charge_key, w.amount from wanted w
			left join ledger_charges c on c.key = w.charge_key where c.cancelled is null and w.amount > 0
			order by w.key on conflict (key) do update set amount = r.amount + excluded.amount, at = now()
				where r.at < now() - interval '24 hours'
			returning key)
	update ledger_charges c set refunded = c.refunded + paid.amount
	from (select charge_key, sum(amount) as amount from wanted join made using (key) group by charge_key) paid where c.key = paid.charge_key`,
);
export const FIND_REFUNDS = sql(
	"ledger_find_refunds",
	"select key, amount from ledger_refunds where key = any($1::text[])",
);
export const ATTEMPT = sql(
	"ledger_attempt",
	`insert into ledger_attempts as a (key, attempts) select key, 1 from unnest($1::text[]) as w (key) order by key
	on conflict (key) do update set attempts = a.attempts + 1 returning key, attempts`,
);
/** Keys are ids of one form, which every collation puts in the order of the ids. Paid back is what the single refunds add up to. */
const RANGE = "key > $1 and ($2::text is null or key <= $2)";
export const BOOKS = sql(
	"ledger_books",
	`select key, authorized, charged, (select coalesce(sum(r.amount), 0) from ledger_refunds r where r.charge_key = page.key) as refunded
	from (select * from (
			select key, 0 as authorized, amount as charged from ledger_charges where ${RANGE}
			union all select key, amount, 0 from ledger_authorizations a where ${RANGE} and ${OPEN}) both_kinds
		order by key limit $3) page
	order by key`,
);
