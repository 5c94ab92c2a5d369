import { sql } from "../../lib/persistence/database.ts";
import type { Content } from "./notifications.rules.ts";

/** A queued message that this node has claimed. */
export type DueMessage = Content & {
	readonly id: string;
	/** Null for a guest. */
	readonly user_id: string | null;
	readonly event_id: string;
	readonly attempts: number;
	/** Time at which the message was queued, or queued again. */
	readonly created_at: string;
	readonly traceparent: string | null;
	/** Number of times that it was sent again on request. */
	readonly resends: number;
	/** Whether the message was counted against its recipient's quota. */
	readonly counted: boolean;
};

/** Inserts messages; an event that is processed again inserts nothing. */
export const QUEUE = sql(
	"messages_queue",
	`insert into messages
		(id, user_id, event_id, channel, template, subject, data, status, traceparent)
	select id, user_id, event_id, 'email', template, subject, data, status, traceparent
	from unnest(
			$1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[],
			$8::text[])
		as w(id, user_id, event_id, template, subject, data, status, traceparent)
	on conflict do nothing`,
);

/** Messages about the given orders. */
export const AUDIT = sql(
	"messages_audit",
	`select data ->> 'order_id' as order_id, event_id, user_id, template from messages
	where data ->> 'order_id' = any($1::text[])`,
);

/** One message with the data of its template. */
export const FIND = sql(
	"messages_find",
	`select id, user_id, channel, template, subject, status, attempts, sent_at, event_id, data,
		last_error
	from messages where id = $1`,
);

/** Recipients and last errors of messages. */
export const DELIVERIES = sql(
	"messages_deliveries",
	"select id, user_id, template, data, last_error from messages where id = any($1::uuid[])",
);

/**
 * Messages about order `$2`, oldest first, to user `$1`, or to anyone if it is null, and to guests:
 * the order of a guest can join an account.
 */
export const ABOUT = sql(
	"messages_about",
	`select template, channel, status, attempts, sent_at, created_at, traceparent from messages
	where ($1::uuid is null or user_id is null or user_id = $1) and data ->> 'order_id' = $2
	order by id limit 100`,
);

/** Maximum number of messages that a node sends at the same time. */
export const MAX_CONCURRENT_SENDS = 5;

/**
 * Claims due messages: moving `next_at` two minutes ahead hides them from other nodes. The
 * statement has no name, so Postgres plans it each time. A plan cached while the table was small
 * would keep reading the whole table.
 */
export const CLAIM = `
	update messages set next_at = now() + interval '2 minutes' where id in (
		select id from messages where status = 'queued' and next_at <= now()
		order by next_at limit ${MAX_CONCURRENT_SENDS} for update skip locked)
	returning id, user_id, event_id, template, data, attempts, traceparent, counted, resends,
		coalesce(resent_at, created_at) as created_at`;

/** Milliseconds until the next message is due; null if none is queued. Without a name, as CLAIM. */
export const NEXT_DUE = `
	select ceil(extract(epoch from min(next_at) - now()) * 1000)::float8 as wait from messages
	where status = 'queued'`;

/** Adds the link and, if it is not the account's address, the recipient to a message's data. */
export const STORE_LINK = sql(
	"messages_link",
	"update messages set data = data || $2::jsonb where id = $1",
);

/**
 * Records the results of a batch, except for messages that were queued again since they were
 * claimed. `sent_at` is the last time. Links and addresses are deleted with the last attempt. `is
 * not distinct from` is `=` without an index, which would contain all queued messages.
 */
export const SETTLE = sql(
	"messages_settle",
	`update messages m set status = r.status, attempts = m.attempts + r.tries,
		last_error = r.error, next_at = now() + make_interval(secs => r.wait),
		sent_at = case when r.status = 'sent' then now() else m.sent_at end,
		data = case when r.status in ('sent', 'failed') then m.data - '{link,to,taken}'::text[]
			else m.data end
	from unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::text[], $6::int[])
		as r(id, status, tries, wait, error, resends)
	where m.id = r.id and m.status is not distinct from 'queued' and m.resends = r.resends`,
);

/** Queues a message again with all attempts, unless it is queued, and counts it as a new one. */
export const RESEND = sql(
	"messages_resend",
	`update messages set status = 'queued', attempts = 0, next_at = now(), last_error = null,
		counted = false, resends = resends + 1, resent_at = now()
	where id = $1 and status <> 'queued'
	returning id, user_id, channel, template, subject, status, attempts, sent_at, event_id`,
);

/**
 * Counts message `$1` against the quota of recipient `$2` and template `$3` (`$4` messages in `$5`
 * hours) and marks it as counted; returns no row if the quota is used up. One statement, so that
 * concurrent senders do not exceed the quota. Also deletes up to ten expired quotas.
 */
export const COUNT_AGAINST_QUOTA = sql(
	"count_recipient",
	`with expired as (
			delete from recipient_quotas where (recipient_hash, template) in (
				select recipient_hash, template from recipient_quotas
				where started_at < now() - interval '1 day' and recipient_hash <> $2
				limit 10 for update skip locked)),
		counted as (
			insert into recipient_quotas as q (recipient_hash, template, mails) values ($2, $3, 1)
			on conflict (recipient_hash, template) do update set
				mails = case when q.started_at < now() - make_interval(hours => $5) then 1
					else q.mails + 1 end,
				started_at = case when q.started_at < now() - make_interval(hours => $5) then now()
					else q.started_at end
			where q.started_at < now() - make_interval(hours => $5) or q.mails < $4
			returning mails)
	update messages set counted = true where id = $1 and exists (select from counted) returning id`,
);

/** Seconds until the quota of recipient `$1` and template `$2`, over `$3` hours, starts again. */
export const QUOTA_WAIT = sql(
	"wait_for_quota",
	`select greatest(1, ceil(
			extract(epoch from started_at + make_interval(hours => $3) - now())))::int as seconds
	from recipient_quotas where recipient_hash = $1 and template = $2`,
);
