import { type Database, sql, type Tx } from "./database.ts";
import type { Event } from "./events.ts";
import { isOutage } from "./outage.ts";

const RECEIVE = sql(
	"inbox_receive",
	"insert into inbox (group_name, event_id) select $1, unnest($2::uuid[]) on conflict do nothing returning event_id",
);
const KEEP = sql(
	"retries_keep",
	`insert into retries (group_name, event_id, event, errors, next_at)
	values ($1, $2, $3, jsonb_build_array($4::jsonb), now() + make_interval(secs => $5)) on conflict do nothing`,
);
/** Taking one over hides it for a minute, longer than a handler may take. */
const DUE = sql(
	"retries_due",
	`update retries set next_at = now() + interval '1 minute' where (group_name, event_id) in (
		select group_name, event_id from retries where group_name = $1 and dead_at is null and next_at <= now()
		order by next_at limit 50 for update skip locked)
	returning event, attempts`,
);
const DONE = sql("retries_done", "delete from retries where group_name = $1 and event_id = $2");
const FAILED = sql(
	"retries_failed",
	`update retries set attempts = attempts + 1, errors = errors || $3::jsonb,
		next_at = now() + make_interval(secs => coalesce($4, 0)), dead_at = case when $4::float8 is null then now() end
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
}

/** One consumer group's way in: each event takes effect once, however often it is delivered. */
export function inbox({ db, group, backoff, handle, onFailure }: InboxOptions) {
	const once = (events: Event[], after?: (tx: Tx) => Promise<unknown>): Promise<void> =>
		db.transaction(async (tx) => {
			const rows = await tx.query<{ event_id: string }>(RECEIVE, [group, events.map(({ id }) => id)]);
			const fresh = new Set(rows.map(({ event_id }) => event_id));
			const unseen = events.filter(({ id }) => fresh.delete(id));
			if (unseen.length > 0) await handle(tx, unseen);
			await after?.(tx);
		});

	const note = (error: unknown) =>
		JSON.stringify({ time: new Date().toISOString(), message: error instanceof Error ? error.message : String(error) });

	return {
		/** Takes delivered events over: they took effect, or wait for another try. Rejects only when neither could be written down. */
		async accept(events: Event[]): Promise<void> {
			if (events.length === 0) return;
			try {
				await once(events);
			} catch (error) {
				if (events.length > 1 && !isOutage(error)) {
					for (const event of events) await this.accept([event]);
					return;
				}
				for (const event of events) {
					onFailure(error, event, false);
					await db.query(KEEP, [group, event.id, JSON.stringify(event), note(error), backoff[0] ?? 0]);
				}
			}
		},
		/** Tries again what is due; answers how many there were. */
		async retry(): Promise<number> {
			const due = await db.query<{ event: Event; attempts: number }>(DUE, [group]);
			for (const { event, attempts } of due) {
				try {
					await once([event], (tx) => tx.query(DONE, [group, event.id]));
				} catch (error) {
					const wait = backoff[attempts] ?? null;
					await db.query(FAILED, [group, event.id, note(error), wait]);
					onFailure(error, event, wait === null);
				}
			}
			return due.length;
		},
	};
}
export type Inbox = ReturnType<typeof inbox>;
