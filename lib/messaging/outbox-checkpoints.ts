import { type Database, sql } from "../persistence/database.ts";

/** Name of the checkpoint of the relay to JetStream, which serves all consumer groups. */
export const STREAM_CHECKPOINT = "stream";

/** A relay's checkpoint in an outbox. */
export interface Checkpoint {
	readonly name: string;
	/** The node that relays; null if none does. */
	readonly owner: string | null;
	/** End of the lease of its last node. */
	readonly lease_until: string | null;
	/** Age of the oldest unpublished event; 0 if there is none. */
	readonly lag_seconds: number;
}

/**
 * SQL for the oldest unpublished events of the checkpoint `r`. Uses the index on xid, however old
 * the checkpoint is: a set-returning function would be executed completely.
 */
export const unpublished = (
	columns: string,
	limit: number,
): string => `(select ${columns} from outbox
	where xid >= pg_snapshot_xmin(r.seen) and not pg_visible_in_snapshot(xid, r.seen)
		order by xid limit ${limit})`;

const LIST = `select name, owner, lease_until,
		coalesce(extract(epoch from now() - o.time), 0)::float8 as lag_seconds
	from outbox_readers r left join lateral ${unpublished("time", 1)} o on true order by name`;
/** The checkpoints of an outbox. */
export const listCheckpoints = (db: Database): Promise<Checkpoint[]> => db.query<Checkpoint>(LIST);

const REMOVE = `delete from outbox_readers
	where name = $1 and (owner is null or lease_until < now()) returning 1 as gone`;
/**
 * Removes a checkpoint without an active node, and with it the guarantee for its unpublished
 * events.
 * @returns the number of removed checkpoints
 */
export const removeCheckpoint = async (db: Database, name: string): Promise<number> =>
	(await db.query(REMOVE, [name])).length;

const REMOVE_OBSOLETE = sql(
	"outbox_retire",
	`delete from outbox_readers where (name = $1) <> $2 and (owner is null or lease_until < now())
		returning name`,
);
/**
 * Removes checkpoints that the current transport does not use: without NATS each group has its own,
 * with NATS one serves all. No event is lost, because the used checkpoints begin at least as early.
 * @returns their names
 */
export const removeObsoleteCheckpoints = async (
	db: Database,
	withStream: boolean,
): Promise<string[]> =>
	(await db.query<{ name: string }>(REMOVE_OBSOLETE, [STREAM_CHECKPOINT, withStream])).map(
		({ name }) => name,
	);

/**
 * Sequences follow the order of writing, which differs from that of times by the duration of a
 * transaction.
 */
const OLDEST =
	"select min(time) as time from (select time from outbox order by seq limit 1000) oldest";
/** Time of the oldest retained event, which may be published again; null if the outbox is empty. */
export const oldestEventTime = async (db: Database): Promise<string | null> =>
	(await db.query<{ time: string | null }>(OLDEST))[0]!.time;
