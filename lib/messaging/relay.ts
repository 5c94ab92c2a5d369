import { type Poller, startPoller } from "../async/poller.ts";
import type { Event } from "../contracts/event.ts";
import { type Database, sql } from "../persistence/database.ts";
import {
	type Acknowledged,
	CHECKPOINT_COLUMNS,
	contradictsEarlierAck,
	type Destination,
	type DestinationState,
	verifyCheckpoint,
} from "./outbox-destination.ts";
import { EVENT_COLUMNS, type OutboxRow, toEvent } from "./outbox-row.ts";

interface Row extends OutboxRow {
	/** The snapshot of the statement that read it. */
	upto: string;
}
/**
 * Checkpoint of a relay: it has published all rows visible in the snapshot `seen`, and of those
 * visible in `upto` only, the rows up to `seq`.
 */
interface Progress extends DestinationState {
	seen: string;
	upto: string | null;
	seq: number;
}

const BATCH = 500;
const POLL_MS = 1000;
/** Milliseconds between two polls of a woken relay, so that events are published together. */
const GATHER_MS = 100;
const CLAIM = sql(
	"outbox_claim",
	`insert into outbox_readers as r (name, owner, lease_until)
		values ($1, $2, now() + make_interval(secs => $3))
	on conflict (name) do update set owner = $2, lease_until = excluded.lease_until
		where r.owner = $2 or r.owner is null or r.lease_until < now()
	returning ${CHECKPOINT_COLUMNS}`,
);
/**
 * Rows committed since a snapshot, and the current snapshot. One row without an event if there are
 * none.
 */
const READ_NEW = sql(
	"outbox_read_new",
	`select pg_current_snapshot()::text as upto, ${EVENT_COLUMNS} from (select) once
		left join outbox_read($1, $2, ${BATCH}) on true order by seq`,
);
/**
 * Rows committed between two snapshots, after a sequence. Unnamed, so that it is planned each time:
 * a plan made for a small table would scan all of a large one.
 */
const READ_BETWEEN = `select ${EVENT_COLUMNS}, $2::text as upto from outbox
	where seq > $3 and not pg_visible_in_snapshot(xid, $1::pg_snapshot)
		and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
		and ($4::text[] is null or type = any($4))
	order by seq limit ${BATCH}`;
const ADVANCE = sql(
	"outbox_advance",
	`update outbox_readers set seen = $3::pg_snapshot, upto = $4::pg_snapshot, seq = $5,
		lease_until = now() + make_interval(secs => $6),
		acked_seq = $7, acked_message = $8
	where name = $1 and owner = $2 returning 1 as held`,
);
const RELEASE = sql(
	"outbox_release",
	"update outbox_readers set owner = null where name = $1 and owner = $2",
);
/**
 * Adapts a restored database. A dump contains transaction IDs and snapshots of another server that
 * are ahead of this one's: all new rows would count as published. The relay restarts from the
 * beginning; inboxes ignore the events that they have processed.
 */
const ADOPT = sql(
	"outbox_adopt",
	`with moved as (update outbox set xid = pg_current_xact_id()
		where xid >= pg_snapshot_xmax(pg_current_snapshot()))
	update outbox_readers set seen = default, upto = null, seq = 0, owner = null
	where pg_snapshot_xmax(seen) > pg_snapshot_xmax(pg_current_snapshot())`,
);

export interface RelayOptions {
	readonly db: Database;
	/** Name of the checkpoint: a consumer group, or the stream that all groups read from. */
	readonly name: string;
	/** This node. A lease ensures that one node at a time relays for `name`. */
	readonly owner: string;
	readonly source: string;
	/**
	 * Event types to publish; all by default, also those that only a newer version declares. The
	 * checkpoint covers all rows: a relay that omits a type loses its events for `name`.
	 */
	readonly types?: readonly string[];
	/** Seconds until other nodes may take over from a node that stopped responding. */
	readonly lease?: number;
	/**
	 * The destination, if it may lose events. It is inspected with every renewal of the lease; if it
	 * has lost events, the outbox is read again.
	 */
	readonly destination?: Destination;
	/**
	 * Delivers events durably. While it rejects, the checkpoint stays and the same events are
	 * delivered again.
	 */
	deliver(events: Event[]): Promise<Acknowledged | undefined> | Promise<void>;
	onError(error: unknown): void;
}

/**
 * Publishes an outbox from a stored checkpoint. Each poll reads the rows committed since the last
 * one, however long their transactions were open, in the order of writing. Of two transactions that
 * change the same row, the second writes its events after the first has committed, so events of one
 * subject are in order. At-least-once: events after the last stored checkpoint are repeated after a
 * crash.
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
	/**
	 * Progress while the lease excludes other nodes: the stored checkpoint, or further if there were
	 * no matching events since.
	 */
	let progress: Progress | undefined;
	let hasUnstoredProgress = false;
	let trustedUntil = 0;
	let adopted = false;
	/** Whether the destination must be inspected because it may have lost events. */
	let mustInspect = false;

	async function acquire(): Promise<Progress | undefined> {
		const current = progress;
		if (current && !mustInspect && performance.now() < trustedUntil) return current;
		// If a step below fails, the next poll claims and inspects again.
		progress = undefined;
		mustInspect = false;
		if (current && hasUnstoredProgress && (await store(current))) {
			if (!destination) return current;
			progress = undefined;
			return verifyCheckpoint(db, destination, { name, owner }, current);
		}
		if (!adopted) await db.query(ADOPT);
		adopted = true;
		trustedUntil = performance.now() + lease * 500;
		const [claimed] = await db.query<Progress>(CLAIM, [name, owner, lease]);
		return claimed && destination
			? verifyCheckpoint(db, destination, { name, owner }, claimed)
			: claimed;
	}
	async function store(next: Progress): Promise<boolean> {
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
		progress = held.length > 0 ? next : undefined;
		hasUnstoredProgress = false;
		return held.length > 0;
	}
	async function read({ seen, upto, seq }: Progress): Promise<{ rows: Row[]; upto: string }> {
		if (upto)
			return { rows: await db.query<Row>(READ_BETWEEN, [seen, upto, seq, types ?? null]), upto };
		const rows = await db.query<Row>(READ_NEW, [seen, types ?? null]);
		return { rows: rows.filter(({ id }) => id !== null), upto: rows[0]!.upto };
	}

	async function poll(): Promise<boolean> {
		const from = await acquire();
		// Only the stored checkpoint is valid until the next one is stored.
		progress = undefined;
		if (!from) return false;
		const { rows, upto } = await read(from);
		if (rows.length === 0 && !from.upto) {
			progress = { ...from, seen: upto, upto: null, seq: 0 };
			hasUnstoredProgress = true;
			return false;
		}
		const ack =
			rows.length > 0 ? await deliver(rows.map((row) => toEvent(row, source))) : undefined;
		// Events sent to a destination that has lost earlier ones are sent again, after those.
		if (contradictsEarlierAck(from, ack ?? undefined)) mustInspect = true;
		if (mustInspect) return false;
		const full = rows.length === BATCH;
		const next = full
			? { seen: from.seen, upto, seq: rows.at(-1)!.seq }
			: { seen: upto, upto: null, seq: 0 };
		const held = await store({
			...from,
			...next,
			...(ack ? { acked_seq: ack.sequence, acked_message: ack.message } : {}),
		});
		return held && (full || from.upto !== null);
	}

	const poller = startPoller({ intervalMs: POLL_MS, gatherMs: GATHER_MS, poll, onError });
	poller.wake();
	return {
		publishes: (type) => types === undefined || types.includes(type),
		wake: poller.wake,
		recheck() {
			mustInspect = true;
			poller.wake();
		},
		/** Finishes the current delivery and releases the lease. */
		async stop() {
			await poller.stop();
			// If this fails, the lease expires by itself.
			await db.query(RELEASE, [name, owner]).catch(() => {});
		},
	};
}
export interface Relay extends Poller {
	publishes(type: string): boolean;
	/** Inspects the destination before the next delivery. */
	recheck(): void;
}
