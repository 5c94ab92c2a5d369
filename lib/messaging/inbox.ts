import { runInTracesOf } from "../context/traceparent.ts";
import type { Event } from "../contracts/event.ts";
import { type Database, type Queryable, sql, type Tx } from "../persistence/database.ts";
import { isOutage } from "../resilience/outages.ts";

/** In one order, so that two deliveries of the same events do not lock each other out. */
const RECEIVE = sql(
	"inbox_receive",
	"insert into inbox (group_name, event_id) select $1, id from unnest($2::uuid[]) id order by id on conflict do nothing returning event_id",
);
const KEEP = sql(
	"retries_keep",
	`insert into retries (group_name, event_id, event, errors, next_at)
	select $1, id, event, jsonb_build_array($4::jsonb), now() + make_interval(secs => $5) from unnest($2::uuid[], $3::json[]) as w(id, event)
	on conflict do nothing`,
);
/** What is no event is a dead letter at once, and one only, however often it is delivered: its id is made of its text (RFC 9562, version 8). */
const BURY = sql(
	"retries_bury",
	`insert into retries (group_name, event_id, event, errors, next_at, dead_at)
	values ($1, overlay(overlay(md5($2::text) placing '8' from 13) placing '8' from 17)::uuid, json_build_object('text', $2::text), jsonb_build_array($3::jsonb), now(), now())
	on conflict do nothing`,
);
const RETRIES = 50;
const DUE = sql(
	"retries_due",
	`select event from retries where group_name = $1 and dead_at is null and next_at <= now() order by next_at limit ${RETRIES}`,
);
/**
 * Whoever tries an event again holds its row for as long as that takes, and no longer than its connection lives: what a node was at when it
 * died, another one can take up at once.
 */
const HOLD = sql(
	"retries_hold",
	`select attempts from retries where group_name = $1 and event_id = $2 and dead_at is null and next_at <= now()
	for update skip locked`,
);
/** The failures stay known, for `retriesOf`. */
const DONE = sql(
	"retries_done",
	`with done as (delete from retries where group_name = $1 and event_id = $2 returning event, errors)
	update inbox set type = event->>'type', subject = event->>'subject', traceparent = event->>'traceparent',
		failures = array(select e->>'time' from jsonb_array_elements(errors) e)
	from done where group_name = $1 and event_id = $2`,
);
const FAILED = sql(
	"retries_failed",
	`update retries set attempts = attempts + 1, errors = errors || $3::jsonb,
		next_at = now() + make_interval(secs => coalesce($4::float8, 0)), dead_at = case when $4::float8 is null then now() end
	where group_name = $1 and event_id = $2`,
);

export interface InboxOptions {
	readonly db: Database;
	readonly group: string;
	/** Seconds before each further try; after the last one the event is a dead letter. */
	readonly backoff: readonly number[];
	/** Runs in the transaction that also notes the events as received, so they take effect once. */
	handle(tx: Tx, events: Event[]): Promise<void>;
	onFailure(error: unknown, event: Event, dead: boolean): void;
	/** Whether the process is stopping: what fails then because others have gone already is left for the next start. */
	closing(): boolean;
}

/** One consumer group's way in: each event takes effect once, however often it is delivered. */
export function createInbox({ db, group, backoff, handle, onFailure, closing }: InboxOptions) {
	const inTransaction = (events: Event[], work: (tx: Tx) => Promise<void>) =>
		runInTracesOf(events, () => db.transaction(work));
	const once = (events: Event[]) => async (tx: Tx) => {
		const rows = await tx.query<{ event_id: string }>(RECEIVE, [group, events.map(({ id }) => id)]);
		const fresh = new Set(rows.map(({ event_id }) => event_id));
		const unseen = events.filter(({ id }) => fresh.delete(id));
		if (unseen.length > 0) await handle(tx, unseen);
	};

	async function accept(events: Event[]): Promise<void> {
		if (events.length === 0) return;
		try {
			await inTransaction(events, once(events));
		} catch (error) {
			const outage = isOutage(error);
			if (outage && closing()) throw error;
			if (events.length > 1 && !outage) {
				const half = events.length >> 1;
				await accept(events.slice(0, half));
				return accept(events.slice(half));
			}
			const ids = events.map(({ id }) => id);
			await db.query(KEEP, [
				group,
				ids,
				events.map((event) => JSON.stringify(event)),
				note(error),
				backoff[0] ?? 0,
			]);
			for (const event of events) onFailure(error, event, false);
		}
	}

	/** Tries an event again, unless somebody else is at it or was; answers whether it did. */
	async function again(event: Event): Promise<boolean> {
		let tried = false;
		let attempts = 0;
		let tell: (() => void) | undefined;
		const fail = async (queryable: Queryable, failed: Event, error: unknown): Promise<void> => {
			const wait = backoff[attempts] ?? null;
			await queryable.query(FAILED, [group, failed.id, note(error), wait]);
			tell = () => onFailure(error, failed, wait === null);
		};
		const attempt = async (tx: Tx): Promise<void> => {
			const [held] = await tx.query<{ attempts: number }>(HOLD, [group, event.id]);
			if (!held) return;
			attempts = held.attempts;
			tried = true;
			await tx.query("savepoint untried");
			try {
				await once([event])(tx);
				await tx.query(DONE, [group, event.id]);
			} catch (error) {
				// That is no fault of the event, which comes again.
				if (closing() && isOutage(error)) throw error;
				await tx.query("rollback to savepoint untried");
				await fail(tx, event, error);
			}
		};
		try {
			await inTransaction([event], attempt);
		} catch (error) {
			const outage = isOutage(error);
			if (outage && closing()) return tried;
			if (outage || !tried) throw error;
			// The commit failed, so the attempt has to be counted in another transaction: else the event would block others for good.
			await fail(db, event, error);
		}
		tell?.();
		return tried;
	}

	return {
		/**
		 * Takes delivered events over: they took effect, or wait for another try. One that fails does not hold back the others. Rejects only
		 * when neither could be written down, or when others are not there any more because the process is stopping. The same events come again then.
		 */
		accept,
		/** Keeps what was delivered but is no event, as a dead letter. */
		async bury(text: string, error: unknown): Promise<void> {
			await db.query(BURY, [group, text.replaceAll("\0", "").slice(0, 10_000), note(error)]);
		},
		/** Tries again what is due, in the order in which it was written; true when there may be more. */
		async retry(): Promise<boolean> {
			const due = await db.query<{ event: Event }>(DUE, [group]);
			due.sort((a, b) => (a.event.sequence < b.event.sequence ? -1 : 1));
			let tried = 0;
			for (const { event } of due) {
				if (closing()) break;
				if (await again(event)) tried++;
			}
			return tried === RETRIES;
		},
	};
}

/** A failure as the history of a dead letter shows it. Postgres' JSON holds neither U+0000 nor half a surrogate pair. */
const note = (error: unknown) => {
	const message = (error instanceof Error ? error.message : String(error))
		.replaceAll("\0", "")
		.slice(0, 1000)
		.toWellFormed();
	return JSON.stringify({ time: new Date().toISOString(), message });
};

const STEP = 1000;
/** The margin covers differences between the clocks of two database servers. */
const FORGET = `with old as (select group_name, event_id from inbox
		where time < least(now() - make_interval(secs => $1 * 3600.0), $2::timestamptz - interval '1 hour') order by time limit ${STEP})
	delete from inbox i using old where i.group_name = old.group_name and i.event_id = old.event_id returning 1 as gone`;
/**
 * One small step in forgetting events that were received more than `hours` ago, which is longer than the stream keeps them, and before the oldest
 * event that an outbox still holds, because an outbox publishes again whatever it holds. True when there may be more.
 * @param oldest when that event was written; null where the outboxes are empty
 */
export const deleteProcessedEvents = async (
	db: Database,
	hours: number,
	oldest: string | null = null,
): Promise<boolean> => (await db.query(FORGET, [hours, oldest])).length === STEP;

/** An event that its handler failed to take at least once. */
export interface RetryRecord {
	readonly type: string;
	readonly traceparent: string | null;
	/** When it failed, the first time first. */
	readonly failures: string[];
	readonly state: "waiting" | "dead" | "done";
}
const RETRIED = sql(
	"retries_of",
	`select event->>'type' as type, event->>'traceparent' as traceparent, array(select e->>'time' from jsonb_array_elements(errors) e) as failures,
		case when dead_at is null then 'waiting' else 'dead' end as state
	from retries where group_name = $1 and event->>'subject' = $2
	union all select type, traceparent, failures, 'done' from inbox where group_name = $1 and subject = $2`,
);
/** What a group has failed to take of the events about something, as far as that is kept. */
export const findRetries = (
	db: Queryable,
	group: string,
	subject: string,
): Promise<RetryRecord[]> => db.query<RetryRecord>(RETRIED, [group, subject]);
