import type { Event } from "../contracts/event.ts";
import { type Database, type Queryable, sql } from "../persistence/database.ts";
import { EVENT_COLUMNS, type OutboxRow, toEvent } from "./outbox-row.ts";

const WRITE = sql(
	"outbox_write",
	"insert into outbox (type, subject, data, traceparent) values ($1, $2, $3, $4)",
);
/** Inserts an event into the outbox in the caller's transaction. */
export const insertEvents = (
	tx: Queryable,
	type: string,
	subject: string,
	json: string,
	traceparent?: string,
): Promise<unknown> => tx.query(WRITE, [type, subject, json, traceparent ?? null]);

const READ_BATCH = 500;
const READ_RANGE = `select ${EVENT_COLUMNS} from outbox
	where seq > $1 and ($2::timestamptz is null or time >= $2)
		and ($3::timestamptz is null or time < $3) and type = any($4)
	order by seq limit ${READ_BATCH}`;
/**
 * Publishes the retained events of a time range again, in the order of writing.
 * @returns the number of events
 */
export async function republish(
	db: Database,
	source: string,
	{ since, until, types }: { since: string | null; until: string | null; types: readonly string[] },
	deliver: (events: Event[]) => Promise<void>,
): Promise<number> {
	let count = 0;
	for (let seq = 0; ; ) {
		const rows = await db.query<OutboxRow>(READ_RANGE, [seq, since, until, types]);
		if (rows.length > 0) await deliver(rows.map((row) => toEvent(row, source)));
		count += rows.length;
		if (rows.length < READ_BATCH) return count;
		seq = rows.at(-1)!.seq;
	}
}

const PRUNE_BATCH = 1000;
const PRUNE = `with oldest as (select seq, xid, time from outbox order by seq limit ${PRUNE_BATCH})
	delete from outbox o using oldest where o.seq = oldest.seq
		and oldest.time < now() - make_interval(secs => $1 * 3600.0)
		and not exists (select from outbox_readers where not pg_visible_in_snapshot(oldest.xid, seen))
	returning 1 as gone`;
/**
 * Deletes one batch of events that are older than `hours` and published under every checkpoint,
 * however old a checkpoint is; without checkpoints, age alone decides.
 * @returns whether there may be more
 */
export const pruneOutbox = async (db: Database, hours: number): Promise<boolean> =>
	(await db.query(PRUNE, [hours])).length === PRUNE_BATCH;
