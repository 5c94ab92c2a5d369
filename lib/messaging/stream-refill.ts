import type { Event } from "../contracts/event.ts";
import { type Database, sql } from "../persistence/database.ts";
import type { ConsumerState } from "./stream-state.ts";

/**
 * The stored progress in the stream `$2`, which ends at `$3`: a stream that was restored or
 * truncated numbers other messages like lost ones.
 */
const STORED = "case when p.stream = $2 then least(p.seq, $3::bigint) else 0 end";
const READ_STORED = sql(
	"stream_position",
	`select ${STORED} as seq from stream_positions p where consumer = $1`,
);
/**
 * Stores the progress of a consumer, and begins a refill if `$7`, or if the stream has discarded
 * later messages. A consumer without stored progress has processed only what it acknowledged:
 * nothing if it is new.
 */
const TRACK = sql(
	"stream_track",
	`insert into stream_positions as p (consumer, stream, seq, refill)
	values ($1, $2, greatest($6::bigint, $4::bigint - 1),
		case when $4 > $5::bigint + 1 then '{}'::jsonb end)
	on conflict (consumer) do update set stream = $2, seq = greatest(${STORED}, $6, $4 - 1),
		refill = case when $7::boolean or $4 > ${STORED} + 1 then '{}'::jsonb else p.refill end
	returning seq, refill is not null as refilling`,
);
const LEASE_SECONDS = 30;
/** Claims a refill. After a failure the lease remains, which delays the next attempt. */
const CLAIM = sql(
	"stream_refill_claim",
	`update stream_positions set refill_lease = now() + interval '${LEASE_SECONDS} seconds'
		where consumer = (
		select consumer from stream_positions where consumer = any($1::text[]) and refill is not null
			and (refill_lease is null or refill_lease < now())
		order by refill_lease nulls first limit 1 for update skip locked)
	returning consumer, refill`,
);
/** Does not change a refill that was restarted meanwhile. */
const ADVANCE = sql(
	"stream_refill_advance",
	`update stream_positions set refill = $3, refill_lease = null where consumer = $1
		and refill = $2::jsonb returning 1 as advanced`,
);
const READ_PROGRESS = sql(
	"stream_positions",
	"select consumer, seq from stream_positions where consumer = any($1::text[])",
);

/** Progress in the outbox of each source. */
type Refill = Readonly<Record<string, { readonly after: string; readonly done: boolean }>>;
export interface Source {
	readonly name: string;
	/** Its event types that the consumer subscribes to. */
	readonly types: readonly string[];
}
interface RefillOptions {
	readonly db: Database;
	/** The services that publish a consumer's events, as far as the registry lists them. */
	sourcesOf(consumer: string): readonly Source[];
	/** Reads one page of a source's outbox after a sequence, oldest first; empty at its end. */
	read(source: Source, after: string): Promise<Event[]>;
	/** Processes events; ignores those already processed. */
	accept(events: Event[]): Promise<void>;
	/**
	 * Whether the database contains no trace of an event in a range of the stream's sequences, all of
	 * which the consumer has acknowledged.
	 */
	hasLostEvents(consumer: string, first: number, last: number): Promise<boolean>;
	onProgress(consumer: string, progress: "begun" | "done"): void;
}

/**
 * Refills consumers from the outboxes of the sources after the stream has discarded unread
 * messages, or after the database was restored to a state before messages that it acknowledged. It
 * bypasses the stream, so its size does not limit a refill, and other groups are not affected.
 */
export function streamRefill({
	db,
	sourcesOf,
	read,
	accept,
	hasLostEvents,
	onProgress,
}: RefillOptions) {
	const refilling = new Set<string>();
	/** Last recorded state of each consumer, as JSON. */
	const recorded = new Map<string, string>();
	/** Last stored sequence of each consumer. */
	const stored = new Map<string, number>();

	/**
	 * Whether the database was restored to a state before messages that the consumer acknowledged. A
	 * node that dies also leaves its stored progress behind them, so their events decide. They are
	 * read at the start of a process, and if the stored progress has decreased.
	 */
	async function wasRestored({ consumer, stream, last, acked }: ConsumerState): Promise<boolean> {
		const [row] = await db.query<{ seq: number }>(READ_STORED, [consumer, stream, last]);
		const known = stored.get(consumer) ?? Number.POSITIVE_INFINITY;
		if (!row || row.seq >= acked || row.seq >= known) return false;
		return hasLostEvents(consumer, row.seq + 1, acked);
	}

	async function step(refill: Refill, sources: readonly Source[]): Promise<Refill> {
		const next: Record<string, Refill[string]> = { ...refill };
		for (const source of sources) {
			const { after, done } = refill[source.name] ?? { after: "0", done: false };
			if (done) continue;
			const events = await read(source, after);
			await accept(events);
			next[source.name] = { after: events.at(-1)?.sequence ?? after, done: events.length === 0 };
		}
		return next;
	}

	return {
		/**
		 * Records a consumer's progress if it has changed. Call it before the group begins to consume,
		 * and every few seconds.
		 * @returns whether the consumer is being refilled
		 */
		async track(state: ConsumerState): Promise<boolean> {
			const { consumer, stream, first, last, acked, unacknowledged } = state;
			const text = JSON.stringify(state);
			if (recorded.get(consumer) === text && !refilling.has(consumer)) return false;
			const [tracked] = await db.query<{ seq: number; refilling: boolean }>(TRACK, [
				consumer,
				stream,
				last,
				first,
				acked,
				unacknowledged === 0 ? last : acked,
				await wasRestored(state),
			]);
			if (tracked!.refilling && !refilling.has(consumer)) onProgress(consumer, "begun");
			if (tracked!.refilling) refilling.add(consumer);
			else refilling.delete(consumer);
			recorded.set(consumer, text);
			stored.set(consumer, tracked!.seq);
			return tracked!.refilling;
		},
		/**
		 * Reads one page from each source of a consumer that is being refilled.
		 * @returns true if there may be more, or Infinity without a consumer to refill
		 */
		async refillNext(consumers: readonly string[]): Promise<boolean | number> {
			const [claimed] = await db.query<{ consumer: string; refill: Refill }>(CLAIM, [consumers]);
			if (!claimed) return Number.POSITIVE_INFINITY;
			const { consumer, refill } = claimed;
			const sources = sourcesOf(consumer);
			if (sources.length === 0)
				throw new Error(`The registry lists no service that publishes the events of ${consumer}`);
			const next = await step(refill, sources);
			const complete = sources.every(({ name }) => next[name]?.done);
			const advanced = await db.query(ADVANCE, [
				consumer,
				JSON.stringify(refill),
				complete ? null : JSON.stringify(next),
			]);
			if (complete && advanced.length > 0) {
				refilling.delete(consumer);
				onProgress(consumer, "done");
			}
			return true;
		},
		/** The processed sequence of each consumer. */
		async progress(consumers: readonly string[]): Promise<Map<string, number>> {
			const rows = await db.query<{ consumer: string; seq: number }>(READ_PROGRESS, [consumers]);
			return new Map(rows.map(({ consumer, seq }) => [consumer, seq]));
		},
	};
}
