import { runInTracesOf } from "../context/traceparent.ts";
import type { Event } from "../contracts/event.ts";
import { type Database, type Queryable, sql, type Tx } from "../persistence/database.ts";
import { isOutage } from "../resilience/outages.ts";
import { toLikePattern } from "./dead-letters.ts";

/** Inserts in a fixed order, so that two deliveries of the same events cannot deadlock. */
const RECEIVE = sql(
	"inbox_receive",
	`insert into inbox (group_name, event_id) select $1, id from unnest($2::uuid[]) id order by id
		on conflict do nothing returning event_id`,
);
const STORE_FAILED = sql(
	"retries_keep",
	`insert into retries (group_name, event_id, event, errors, next_at)
	select $1, id, event, jsonb_build_array($4::jsonb), now() + make_interval(secs => $5)
		from unnest($2::uuid[], $3::json[]) as w(id, event)
	on conflict do nothing`,
);
/**
 * Stores an invalid message as a dead letter. Its ID is a hash of its text (UUID version 8, RFC
 * 9562), so repeated deliveries are one dead letter.
 */
const STORE_INVALID = sql(
	"retries_store_invalid",
	`insert into retries (group_name, event_id, event, errors, next_at, dead_at)
	values ($1, overlay(overlay(md5($2::text) placing '8' from 13) placing '8' from 17)::uuid,
		json_build_object('text', $2::text), jsonb_build_array($3::jsonb), now(), now())
	on conflict do nothing`,
);
const RETRY_BATCH = 50;
/**
 * The next retries, with the events of due ones and the milliseconds until the others are due. Only
 * of handled types: a receipt without a handler would discard an event of another version's nodes.
 * Invalid messages have no type; their attempt makes them dead letters.
 */
const NEXT = sql(
	"retries_next",
	`select event_id, case when next_at <= now() then event end as event,
		ceil(extract(epoch from next_at - now()) * 1000)::float8 as wait
	from retries where group_name = $1 and dead_at is null
		and (event->>'type' like any($2::text[]) or event->>'type' is null)
	order by next_at limit ${RETRY_BATCH}`,
);
/**
 * Locks a retry's row for the duration of the attempt, and no longer than the connection: after a
 * crash another node can retry at once.
 */
const LOCK = sql(
	"retries_hold",
	`select attempts from retries where group_name = $1 and event_id = $2 and dead_at is null
		and next_at <= now()
	for update skip locked`,
);
/** Preserves the times of failures for `findRetries`. */
const MARK_DONE = sql(
	"retries_done",
	`with done as (delete from retries where group_name = $1 and event_id = $2
		returning event, errors)
	update inbox set type = event->>'type', subject = event->>'subject',
		traceparent = event->>'traceparent',
		failures = array(select e->>'time' from jsonb_array_elements(errors) e)
	from done where group_name = $1 and event_id = $2`,
);
const MARK_FAILED = sql(
	"retries_failed",
	`update retries set attempts = attempts + 1, errors = errors || $3::jsonb,
		next_at = now() + make_interval(secs => coalesce($4::float8, 0)),
			dead_at = case when $4::float8 is null then now() end
	where group_name = $1 and event_id = $2`,
);

/** A stored event, or `{ text }` of an invalid message. */
interface Retry {
	readonly event_id: string;
	readonly event: Event;
}

export interface InboxOptions {
	readonly db: Database;
	readonly group: string;
	/** Types and patterns that this node handles. Retries of other events are left to other nodes. */
	readonly patterns: readonly string[];
	/** Seconds before each further attempt; after the last one the event becomes a dead letter. */
	readonly backoff: readonly number[];
	/** Runs in the transaction that records the events as processed, so each takes effect once. */
	handle(tx: Tx, events: Event[]): Promise<void>;
	onFailure(error: unknown, event: Event, dead: boolean): void;
	/**
	 * Whether the process is stopping. Failures due to services that have already stopped are left
	 * for the next start.
	 */
	closing(): boolean;
}

/** The inbox of a consumer group: each event takes effect once, however often it is delivered. */
export function createInbox({
	db,
	group,
	patterns,
	backoff,
	handle,
	onFailure,
	closing,
}: InboxOptions) {
	const handled = patterns.map(toLikePattern);
	const inTransaction = (events: Event[], work: (tx: Tx) => Promise<void>) =>
		runInTracesOf(events, () => db.transaction(work));
	const processOnce = (events: Event[]) => async (tx: Tx) => {
		const rows = await tx.query<{ event_id: string }>(RECEIVE, [group, events.map(({ id }) => id)]);
		const fresh = new Set(rows.map(({ event_id }) => event_id));
		const unseen = events.filter(({ id }) => fresh.delete(id));
		if (unseen.length > 0) await handle(tx, unseen);
	};

	async function accept(events: Event[]): Promise<void> {
		if (events.length === 0) return;
		try {
			await inTransaction(events, processOnce(events));
		} catch (error) {
			const outage = isOutage(error);
			if (outage && closing()) throw error;
			if (events.length > 1 && !outage) {
				const half = events.length >> 1;
				await accept(events.slice(0, half));
				return accept(events.slice(half));
			}
			const ids = events.map(({ id }) => id);
			await db.query(STORE_FAILED, [
				group,
				ids,
				events.map((event) => JSON.stringify(event)),
				toFailureJson(error),
				backoff[0] ?? 0,
			]);
			for (const event of events) onFailure(error, event, false);
		}
	}

	/**
	 * Retries an event unless another node does or did.
	 * @returns whether it made an attempt
	 */
	async function retryEvent({ event_id, event }: Retry): Promise<boolean> {
		let tried = false;
		let attempts = 0;
		let reportFailure: (() => void) | undefined;
		const fail = async (queryable: Queryable, error: unknown): Promise<void> => {
			const wait = backoff[attempts] ?? null;
			await queryable.query(MARK_FAILED, [group, event_id, toFailureJson(error), wait]);
			reportFailure = () => onFailure(error, event, wait === null);
		};
		const attempt = async (tx: Tx): Promise<void> => {
			const [held] = await tx.query<{ attempts: number }>(LOCK, [group, event_id]);
			if (!held) return;
			attempts = held.attempts;
			tried = true;
			await tx.query("savepoint untried");
			try {
				if (!event.id) throw new Error("The message contains no event");
				await processOnce([event])(tx);
				await tx.query(MARK_DONE, [group, event_id]);
			} catch (error) {
				// The event did not fail; it will be retried.
				if (closing() && isOutage(error)) throw error;
				await tx.query("rollback to savepoint untried");
				await fail(tx, error);
			}
		};
		try {
			await inTransaction([event], attempt);
		} catch (error) {
			const outage = isOutage(error);
			if (outage && closing()) return tried;
			if (outage || !tried) throw error;
			// The commit failed, so the attempt is counted in another transaction: otherwise the event
			// would block others permanently.
			await fail(db, error);
		}
		reportFailure?.();
		return tried;
	}

	return {
		/**
		 * Processes delivered events or stores them for a retry. A failing event does not delay the
		 * others. Rejects only if neither is possible, or during a shutdown if other services have
		 * stopped; the events are then delivered again.
		 */
		accept,
		/** Stores an invalid message as a dead letter. */
		async storeInvalid(text: string, error: unknown): Promise<void> {
			await db.query(STORE_INVALID, [
				group,
				text.replaceAll("\0", "").slice(0, 10_000),
				toFailureJson(error),
			]);
		},
		/**
		 * Retries due events in the order of writing.
		 * @returns true if more may be due, false after attempts, or otherwise the milliseconds until
		 * the next retry
		 */
		async retry(): Promise<boolean | number> {
			const next = await db.query<Partial<Retry> & { wait: number }>(NEXT, [group, handled]);
			const due = next.filter((row): row is Retry & { wait: number } => row.event !== null);
			if (due.length === 0) return next[0]?.wait ?? Number.POSITIVE_INFINITY;
			due.sort((a, b) => (a.event.sequence < b.event.sequence ? -1 : 1));
			let tried = 0;
			for (const one of due) {
				if (closing()) break;
				if (await retryEvent(one)) tried++;
			}
			return tried === RETRY_BATCH;
		},
	};
}

/**
 * Formats a failure for the history of a dead letter. JSON in Postgres accepts neither U+0000 nor
 * unpaired surrogates.
 */
const toFailureJson = (error: unknown) => {
	const message = (error instanceof Error ? error.message : String(error))
		.replaceAll("\0", "")
		.slice(0, 1000)
		.toWellFormed();
	return JSON.stringify({ time: new Date().toISOString(), message });
};

const HAS_UNKNOWN = sql(
	"inbox_has_unknown",
	`select exists (select from unnest($2::uuid[]) id
		where not exists (select from inbox where group_name = $1 and event_id = id)
			and not exists (select from retries where group_name = $1 and event_id = id)) as found`,
);
/** Whether a group has neither processed nor stored one of the events. */
export async function hasUnknownEvents(
	db: Queryable,
	group: string,
	events: readonly Event[],
): Promise<boolean> {
	const ids = events.map(({ id }) => id);
	const [row] = await db.query<{ found: boolean }>(HAS_UNKNOWN, [group, ids]);
	return row!.found;
}

const DELETE_BATCH = 1000;
/** The margin covers clock differences between two database servers. */
const DELETE_OLD = `with old as (select group_name, event_id from inbox
		where time < least(now() - make_interval(secs => $1 * 3600.0),
			$2::timestamptz - interval '1 hour') order by time limit ${DELETE_BATCH})
	delete from inbox i using old where i.group_name = old.group_name and i.event_id = old.event_id
		returning 1 as gone`;
/**
 * Deletes one batch of receipts that are older than `hours`, which is longer than the stream's
 * retention, and older than the oldest event that an outbox may publish again.
 * @param oldest time of that event; null if the outboxes are empty
 * @returns whether there may be more
 */
export const deleteProcessedEvents = async (
	db: Database,
	hours: number,
	oldest: string | null = null,
): Promise<boolean> => (await db.query(DELETE_OLD, [hours, oldest])).length === DELETE_BATCH;

/** An event whose handler failed at least once. */
export interface RetryRecord {
	readonly type: string;
	readonly traceparent: string | null;
	/** Times of its failures, oldest first. */
	readonly failures: string[];
	readonly state: "waiting" | "dead" | "done";
}
const RETRIED = sql(
	"retries_of",
	`select event->>'type' as type, event->>'traceparent' as traceparent,
		array(select e->>'time' from jsonb_array_elements(errors) e) as failures,
		case when dead_at is null then 'waiting' else 'dead' end as state
	from retries where group_name = $1 and event->>'subject' = $2
	union all select type, traceparent, failures, 'done' from inbox where group_name = $1
		and subject = $2`,
);
/** The failures of a group's events about a subject, as far as they are retained. */
export const findRetries = (
	db: Queryable,
	group: string,
	subject: string,
): Promise<RetryRecord[]> => db.query<RetryRecord>(RETRIED, [group, subject]);
