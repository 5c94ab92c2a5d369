import { type Poller, startPoller } from "../async/poller.ts";
import type { Event } from "../contracts/event.ts";
import { type Database, type Queryable, sql } from "../persistence/database.ts";
import {
	type Acknowledged,
	CHECKPOINT_COLUMNS,
	contradictsEarlierAck,
	type Destination,
	type DestinationState,
	verifyCheckpoint,
} from "./outbox-destination.ts";
import { EVENT_COLUMNS, toEvent, type OutboxRow as Written } from "./outbox-row.ts";

interface Row extends Written {
	/** The snapshot of the statement that read it. */
	upto: string;
}
/** What a reader has handed over: all that `seen`, a snapshot, holds, and of what `upto` holds besides, the rows up to `seq`. */
interface Position extends DestinationState {
	seen: string;
	upto: string | null;
	seq: number;
}

const WRITE = sql(
	"outbox_write",
	"insert into outbox (type, subject, data, traceparent) values ($1, $2, $3, $4)",
);
/** Writes a fact in the caller's transaction. */
export const insertEvents = (
	tx: Queryable,
	type: string,
	subject: string,
	json: string,
	traceparent?: string,
): Promise<unknown> => tx.query(WRITE, [type, subject, json, traceparent ?? null]);

const BATCH = 500;
const POLL = 1000;
/** Milliseconds that events wait for others to be handed over with, in one turn. */
const GATHER = 100;
const CLAIM = sql(
	"outbox_claim",
	`insert into outbox_readers as r (name, owner, lease_until) values ($1, $2, now() + make_interval(secs => $3))
	on conflict (name) do update set owner = $2, lease_until = excluded.lease_until
		where r.owner = $2 or r.owner is null or r.lease_until < now()
	returning ${CHECKPOINT_COLUMNS}`,
);
/** What was committed since a snapshot, and the snapshot up to which that is all. One row without an event when there is nothing. */
const READ_NEW = sql(
	"outbox_read_new",
	`select pg_current_snapshot()::text as upto, ${EVENT_COLUMNS} from (select) once left join outbox_read($1, $2, ${BATCH}) on true order by seq`,
);
/**
 * What was committed between two snapshots, from a number on. Without a name, so that it is planned each time: a plan made while the table
 * was small would go on reading the whole of it.
 */
const READ_ON = `select ${EVENT_COLUMNS}, $2::text as upto from outbox
	where seq > $3 and not pg_visible_in_snapshot(xid, $1::pg_snapshot) and pg_visible_in_snapshot(xid, $2::text::pg_snapshot) and type = any($4)
	order by seq limit ${BATCH}`;
const ADVANCE = sql(
	"outbox_advance",
	`update outbox_readers set seen = $3::pg_snapshot, upto = $4::pg_snapshot, seq = $5, lease_until = now() + make_interval(secs => $6),
		acked_seq = $7, acked_message = $8
	where name = $1 and owner = $2 returning 1 as held`,
);
const RELEASE = sql(
	"outbox_release",
	"update outbox_readers set owner = null where name = $1 and owner = $2",
);
/**
 * A database that was restored from a dump holds transaction ids and snapshots of another server, ahead of this one's: to a reader, all
 * that happens from now on would seem to be seen. Its events are told again; inboxes know what they had.
 */
const ADOPT = sql(
	"outbox_adopt",
	`with moved as (update outbox set xid = pg_current_xact_id() where xid >= pg_snapshot_xmax(pg_current_snapshot()))
	update outbox_readers set seen = default, upto = null, seq = 0, owner = null
	where pg_snapshot_xmax(seen) > pg_snapshot_xmax(pg_current_snapshot())`,
);

export interface RelayOptions {
	readonly db: Database;
	/** Whose position this is: one consumer group, or the stream that all groups read from. */
	readonly name: string;
	/** The node; only one at a time reads on behalf of `name`, by a lease. */
	readonly owner: string;
	readonly source: string;
	/** The events that it wants. */
	readonly types: readonly string[];
	/** Seconds until others may take over from a node that fell silent. */
	readonly lease?: number;
	/** Where events go, if it may lose them. It is inspected with every renewal of the lease; when it has lost events, the outbox is read again. */
	readonly destination?: Destination;
	/** Takes events over for good. While it rejects, the position stays and the same events come again. */
	deliver(events: Event[]): Promise<Acknowledged | undefined> | Promise<void>;
	onError(error: unknown): void;
}

/**
 * Follows an outbox from a kept position: each turn reads what was committed since the last one, however long its transaction was open, in
 * the order in which it was written. Two transactions that change the same row commit one after the other, and the second writes its events
 * after the first has committed, so what happened to one thing is told in the order in which it happened. At least once: events between the last kept
 * position and a crash come again.
 */
export function startRelay({
	db,
	name,
	owner,
	source,
	types,
	lease = 5,
	destination,
	deliver,
	onError,
}: RelayOptions): Relay {
	/** How far it is, for as long as nobody else can have claimed it: what the row says, or further where nothing wanted came since. */
	let position: Position | undefined;
	let passed = false;
	let trustedUntil = 0;
	let adopted = false;
	/** Set when the destination may have lost events, until it was inspected. */
	let suspect = false;

	async function hold(): Promise<Position | undefined> {
		const current = position;
		if (current && !suspect && performance.now() < trustedUntil) return current;
		// If anything below fails, the next turn claims and inspects again.
		position = undefined;
		suspect = false;
		if (current && passed && (await keep(current)) && !destination) return current;
		if (!adopted) await db.query(ADOPT);
		adopted = true;
		trustedUntil = performance.now() + lease * 500;
		const [claimed] = await db.query<Position>(CLAIM, [name, owner, lease]);
		return claimed && destination
			? verifyCheckpoint(db, destination, { name, owner }, claimed)
			: claimed;
	}
	async function keep(next: Position): Promise<boolean> {
		trustedUntil = performance.now() + lease * 500;
		const { seen, upto, seq, acked_seq, acked_message } = next;
		const held = await db.query(ADVANCE, [
			name,
			owner,
			seen,
			upto,
			seq,
			lease,
			acked_seq,
			acked_message,
		]);
		position = held.length > 0 ? next : undefined;
		passed = false;
		return held.length > 0;
	}
	async function read({ seen, upto, seq }: Position): Promise<{ rows: Row[]; upto: string }> {
		if (upto) return { rows: await db.query<Row>(READ_ON, [seen, upto, seq, types]), upto };
		const rows = await db.query<Row>(READ_NEW, [seen, types]);
		return { rows: rows.filter(({ id }) => id !== null), upto: rows[0]!.upto };
	}

	async function poll(): Promise<boolean> {
		const from = await hold();
		// Until the next position is kept, only the row knows.
		position = undefined;
		if (!from) return false;
		const { rows, upto } = await read(from);
		if (rows.length === 0 && !from.upto) {
			position = { ...from, seen: upto, upto: null, seq: 0 };
			passed = true;
			return false;
		}
		const ack =
			rows.length > 0 ? await deliver(rows.map((row) => toEvent(row, source))) : undefined;
		// Events that went to a destination which has lost others come again, after those.
		if (contradictsEarlierAck(from, ack ?? undefined)) suspect = true;
		if (suspect) return false;
		const full = rows.length === BATCH;
		const next = full
			? { seen: from.seen, upto, seq: rows.at(-1)!.seq }
			: { seen: upto, upto: null, seq: 0 };
		const held = await keep({
			...from,
			...next,
			...(ack ? { acked_seq: ack.sequence, acked_message: ack.message } : {}),
		});
		return held && (full || from.upto !== null);
	}

	const reading = startPoller({ intervalMs: POLL, gatherMs: GATHER, poll, onError });
	reading.wake();
	return {
		wake: reading.wake,
		recheck() {
			suspect = true;
			reading.wake();
		},
		/** Finishes what it holds and gives the lease back. */
		async stop() {
			await reading.stop();
			// When this fails the lease runs out by itself.
			await db.query(RELEASE, [name, owner]).catch(() => {});
		},
	};
}
export interface Relay extends Poller {
	/** Has the destination inspected before anything more is delivered. */
	recheck(): void;
}

const TOLD = `select ${EVENT_COLUMNS} from outbox
	where seq > $1 and ($2::timestamptz is null or time >= $2) and ($3::timestamptz is null or time < $3) and type = any($4)
	order by seq limit ${BATCH}`;
/**
 * Goes once more through what the outbox holds, in the order in which it was written.
 * @returns how many events were told again
 */
export async function republish(
	db: Database,
	source: string,
	{ since, until, types }: { since: string | null; until: string | null; types: readonly string[] },
	deliver: (events: Event[]) => Promise<void>,
): Promise<number> {
	let told = 0;
	for (let seq = 0; ; ) {
		const rows = await db.query<Row>(TOLD, [seq, since, until, types]);
		if (rows.length > 0) await deliver(rows.map((row) => toEvent(row, source)));
		told += rows.length;
		if (rows.length < BATCH) return told;
		seq = rows.at(-1)!.seq;
	}
}

const STEP = 1000;
const PRUNE = `with oldest as (select seq, xid, time from outbox order by seq limit ${STEP})
	delete from outbox o using oldest where o.seq = oldest.seq and oldest.time < now() - make_interval(secs => $1 * 3600.0)
		and not exists (select from outbox_readers where not pg_visible_in_snapshot(oldest.xid, seen))
	returning 1 as gone`;
/**
 * One small step in removing events that are older than `hours` and that every reader has handed over, however long no node has read for it; without
 * readers age alone counts. True when there may be more.
 */
export const pruneOutbox = async (db: Database, hours: number): Promise<boolean> =>
	(await db.query(PRUNE, [hours])).length === STEP;
