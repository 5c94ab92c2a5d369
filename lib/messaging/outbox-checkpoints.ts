import { type Database, sql } from "../persistence/database.ts";

/** The reader that hands events over to JetStream, on behalf of all consumer groups. */
export const STREAM_CHECKPOINT = "stream";

/** A reader of an outbox and how far it is behind. */
export interface Checkpoint {
	readonly name: string;
	/** The node that reads on its behalf; null while none does. */
	readonly owner: string | null;
	/** When the lease of its last node ends or ended. */
	readonly lease_until: string | null;
	/** Age of the oldest event that it has not handed over; 0 where there is none. */
	readonly lag_seconds: number;
}

/**
 * The events of an outbox that a reader `r` has not handed over, oldest first, `limit` at most. By the index on xid, however far the reader is
 * behind: a set-returning function would be carried out in full.
 */
export const unpublished = (
	columns: string,
	limit: number,
): string => `(select ${columns} from outbox
	where xid >= pg_snapshot_xmin(r.seen) and not pg_visible_in_snapshot(xid, r.seen) order by xid limit ${limit})`;

const LIST = `select name, owner, lease_until, coalesce(extract(epoch from now() - o.time), 0)::float8 as lag_seconds
	from outbox_readers r left join lateral ${unpublished("time", 1)} o on true order by name`;
/** The readers of an outbox. */
export const listCheckpoints = (db: Database): Promise<Checkpoint[]> => db.query<Checkpoint>(LIST);

const REMOVE =
	"delete from outbox_readers where name = $1 and (owner is null or lease_until < now()) returning 1 as gone";
/** Removes a reader for which no node reads, and with it the claim on events that it has not handed over. @returns how many were removed */
export const removeCheckpoint = async (db: Database, name: string): Promise<number> =>
	(await db.query(REMOVE, [name])).length;

const RETIRE = sql(
	"outbox_retire",
	"delete from outbox_readers where (name = $1) <> $2 and (owner is null or lease_until < now()) returning name",
);
/**
 * Removes the readers that the way in which events travel has made obsolete: without NATS each group reads for itself, with NATS the stream does for
 * all. No event is lost, because the readers that remain began, or begin, at least as early.
 * @returns their names
 */
export const removeObsoleteCheckpoints = async (
	db: Database,
	withStream: boolean,
): Promise<string[]> =>
	(await db.query<{ name: string }>(RETIRE, [STREAM_CHECKPOINT, withStream])).map(
		({ name }) => name,
	);

/** Numbers follow the order of writing, which differs from that of times by the length of a transaction. */
const OLDEST =
	"select min(time) as time from (select time from outbox order by seq limit 1000) oldest";
/** When the oldest event was written that an outbox still holds and may therefore publish again; null where it is empty. */
export const oldestEventTime = async (db: Database): Promise<string | null> =>
	(await db.query<{ time: string | null }>(OLDEST))[0]!.time;
