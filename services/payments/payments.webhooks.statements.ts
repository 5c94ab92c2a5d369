import { sql } from "../../lib/persistence/database.ts";
import { backoff, CLAIM_LIMIT } from "./payments.statements.ts";

/**
 * Stores events once each, and returns the new ones. Ordered, so that concurrent batches cannot
 * deadlock. An event that concerns no payment needs no processing.
 */
export const STORE_EVENTS = sql(
	"store_webhook_events",
	`insert into payment_webhook_events (provider, event_id, type, order_id, processed_at)
	select $1, event_id, type, order_id, case when order_id is null then now() end
	from unnest($2::text[], $3::text[], $4::uuid[]) as w (event_id, type, order_id)
	order by event_id on conflict do nothing returning event_id`,
);

/**
 * Claims events that are not processed. The claim schedules the next attempt, so a dead node only
 * delays the event.
 */
export const CLAIM_EVENTS = sql(
	"claim_webhook_events",
	`with due as materialized (
			select provider, event_id from payment_webhook_events
			where processed_at is null and next_at <= now()
			order by next_at limit ${CLAIM_LIMIT} for update skip locked)
	update payment_webhook_events e set attempts = attempts + 1,
		next_at = now() + ${backoff("e.attempts")}
	from due where e.provider = due.provider and e.event_id = due.event_id
	returning e.provider, e.event_id, e.order_id`,
);

export const MARK_PROCESSED = sql(
	"mark_webhook_events",
	`update payment_webhook_events e set processed_at = now()
	from unnest($1::text[], $2::text[]) as w (provider, event_id)
	where e.provider = w.provider and e.event_id = w.event_id`,
);

/** Providers repeat an event for a few days; afterwards its ID is not needed any more. */
export const PRUNE_EVENTS = sql(
	"prune_webhook_events",
	`with old as (
			select provider, event_id from payment_webhook_events
			where received_at < now() - interval '30 days' order by received_at limit 1000),
		pruned as (
			delete from payment_webhook_events e using old
			where e.provider = old.provider and e.event_id = old.event_id returning e.event_id)
	select count(*) as count from pruned`,
);
export const PRUNE_LIMIT = 1000;
