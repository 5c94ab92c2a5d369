import { type Database, type Queryable, sql } from "./database.ts";
import type { Event } from "./events.ts";

interface Row {
	xid: string;
	seq: number;
	id: string;
	type: string;
	subject: string;
	data: unknown;
	traceparent: string | null;
	time: string;
}

const WRITE = sql("outbox_write", "insert into outbox (type, subject, data, traceparent) values ($1, $2, $3, $4)");
/** Writes a fact in the caller's transaction. */
export const write = (tx: Queryable, type: string, subject: string, json: string, traceparent?: string): Promise<unknown> =>
	tx.query(WRITE, [type, subject, json, traceparent ?? null]);

const BATCH = 500;
const LEASE = "5 seconds";
const CLAIM = sql(
	"outbox_claim",
	`insert into outbox_readers (name, owner, lease_until) values ($1, $2, now() + interval '${LEASE}')
	on conflict (name) do update set owner = $2, lease_until = now() + interval '${LEASE}'
		where outbox_readers.owner = $2 or outbox_readers.owner is null or outbox_readers.lease_until < now()
	returning xid::text, seq`,
);
const READ = sql(
	"outbox_read",
	`select xid::text, seq, id, type, subject, data, traceparent, time from outbox
	where (xid, seq) > ($1::text::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
	order by xid, seq limit ${BATCH}`,
);
const ADVANCE = sql(
	"outbox_advance",
	`update outbox_readers set xid = $3::text::xid8, seq = $4, lease_until = now() + interval '${LEASE}' where name = $1 and owner = $2 returning 1 as held`,
);
const RELEASE = sql("outbox_release", "update outbox_readers set owner = null where name = $1 and owner = $2");
const WAITING = sql("outbox_waiting", "select exists (select from outbox where (xid, seq) > ($1::text::xid8, $2::bigint)) as waiting");

/** How soon a reader looks again: rows are there that an older open transaction still hides; nothing is there. */
const SOON = 5;
const SLOW = 1000;

export interface ReaderOptions {
	readonly db: Database;
	/** Whose position this is: one consumer group, or the stream that all groups read from. */
	readonly name: string;
	/** The node; only one at a time reads on behalf of `name`, by a lease. */
	readonly owner: string;
	readonly source: string;
	/** Takes events over for good. While it rejects, the position stays and the same events come again. */
	deliver(events: Event[]): Promise<void>;
	onError(error: unknown): void;
}

/**
 * Follows an outbox from a kept position, in the order of its transactions. At least once: events between the last kept position and
 * a crash come again.
 */
export function readOutbox({ db, name, owner, source, deliver, onError }: ReaderOptions) {
	let stopping = false;
	let again = false;
	let wakeUp: (() => void) | undefined;

	const pause = (milliseconds: number) =>
		new Promise<void>((resolve) => {
			if (again || stopping) return resolve();
			const timer = setTimeout(resolve, milliseconds);
			wakeUp = () => {
				clearTimeout(timer);
				resolve();
			};
		}).then(() => {
			again = false;
		});

	/** Reads until nothing is left; answers how long to pause. */
	async function follow(): Promise<number> {
		const [position] = await db.query<{ xid: string; seq: number }>(CLAIM, [name, owner]);
		if (!position) return SLOW;
		let { xid, seq } = position;
		while (!stopping) {
			const rows = await db.query<Row>(READ, [xid, seq]);
			const last = rows.at(-1);
			if (!last) break;
			await deliver(rows.map((row) => toEvent(row, source)));
			({ xid, seq } = last);
			if ((await db.query(ADVANCE, [name, owner, xid, seq])).length === 0) return SLOW;
		}
		const [more] = await db.query<{ waiting: boolean }>(WAITING, [xid, seq]);
		return more!.waiting ? SOON : SLOW;
	}

	const running = (async () => {
		while (!stopping) {
			const wait = await follow().catch((error) => {
				onError(error);
				return SLOW;
			});
			await pause(wait);
		}
		await db.query(RELEASE, [name, owner]).catch(onError);
	})();

	return {
		/** Something was committed. */
		wake() {
			again = true;
			wakeUp?.();
		},
		/** Finishes what it holds and gives the lease back. */
		async stop() {
			stopping = true;
			wakeUp?.();
			await running;
		},
	};
}
export type Reader = ReturnType<typeof readOutbox>;

function toEvent(row: Row, source: string): Event {
	const { id, type, subject, data, traceparent, time } = row;
	const event = {
		specversion: "1.0",
		id,
		source,
		type,
		subject,
		time,
		datacontenttype: "application/json",
		data,
		...(traceparent ? { traceparent } : {}),
		sequence: `${row.xid.padStart(20, "0")}.${String(row.seq).padStart(19, "0")}`,
	};
	return event as Event;
}

const PRUNE = sql(
	"outbox_prune",
	`delete from outbox o using (
		select xid, seq from outbox where time < now() - make_interval(hours => $1)
			and (xid, seq) <= (select xid, seq from outbox_readers order by xid, seq limit 1) order by xid, seq limit 1000) old
	where o.xid = old.xid and o.seq = old.seq returning 1 as gone`,
);
/** Removes a bounded number of published events that are older than `hours`; answers how many. */
export const prune = async (db: Database, hours: number): Promise<number> => (await db.query(PRUNE, [hours])).length;
