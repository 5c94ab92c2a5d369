import type { Event } from "../contracts/event.ts";
import { type Database, sql } from "../persistence/database.ts";
import type { ConsumerState } from "./stream-state.ts";

/**
 * Notes how far a consumer has read, and begins a refill if the stream has discarded messages behind that. Of a consumer without a position
 * only what it has acknowledged is known: nothing if it is new.
 */
const TRACK = sql(
	"stream_track",
	`insert into stream_positions as p (consumer, stream, seq, refill)
	values ($1, $2, greatest($3::bigint, $4::bigint - 1), case when $4 > $5::bigint + 1 then '{}'::jsonb end)
	on conflict (consumer) do update set stream = $2,
		seq = greatest(case when p.stream = $2 then p.seq else 0 end, $3, $4 - 1),
		refill = case when $4 > case when p.stream = $2 then p.seq else 0 end + 1 then '{}'::jsonb else p.refill end
	returning refill is not null as refilling`,
);
const SECONDS_OF_LEASE = 30;
/** After a failure the lease is kept, so that the next attempt comes when it has run out. */
const CLAIM = sql(
	"stream_refill_claim",
	`update stream_positions set refill_lease = now() + interval '${SECONDS_OF_LEASE} seconds' where consumer = (
		select consumer from stream_positions where consumer = any($1::text[]) and refill is not null and (refill_lease is null or refill_lease < now())
		order by refill_lease nulls first limit 1 for update skip locked)
	returning consumer, refill`,
);
/** Leaves a refill alone that began anew meanwhile. */
const ADVANCE = sql(
	"stream_refill_advance",
	"update stream_positions set refill = $3, refill_lease = null where consumer = $1 and refill = $2::jsonb returning 1 as advanced",
);
const POSITIONS = sql(
	"stream_positions",
	"select consumer, seq from stream_positions where consumer = any($1::text[])",
);

/** The checkpoint in the outbox of each source. */
type Refill = Readonly<Record<string, { readonly after: string; readonly done: boolean }>>;
export interface Source {
	readonly name: string;
	/** Those of its event types that the consumer reads. */
	readonly types: readonly string[];
}
export interface RefillOptions {
	readonly db: Database;
	/** The services that publish what a consumer reads, as far as they are known now. */
	sourcesOf(consumer: string): readonly Source[];
	/** One page of a source's outbox behind a sequence, oldest first; empty at its end. */
	read(source: Source, after: string): Promise<Event[]>;
	/** Takes events over; ignores those that took effect before. */
	accept(events: Event[]): Promise<void>;
	onProgress(consumer: string, progress: "begun" | "done"): void;
}

/**
 * Refills consumers from the outboxes of the sources when the stream has discarded messages that they had not read. It bypasses the stream, so
 * its size limits no refill, and other groups are not affected.
 */
export function streamRefill({ db, sourcesOf, read, accept, onProgress }: RefillOptions) {
	const refilling = new Set<string>();

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
		/** Call it before the group begins to read, and every few seconds. */
		async track({
			consumer,
			stream,
			first,
			last,
			acked,
			unacknowledged,
		}: ConsumerState): Promise<void> {
			const [tracked] = await db.query<{ refilling: boolean }>(TRACK, [
				consumer,
				stream,
				unacknowledged === 0 ? last : acked,
				first,
				acked,
			]);
			if (tracked!.refilling && !refilling.has(consumer)) onProgress(consumer, "begun");
			if (tracked!.refilling) refilling.add(consumer);
			else refilling.delete(consumer);
		},
		/** Reads one page from each source of a consumer that is being refilled. @returns whether there may be more to do */
		async turn(consumers: readonly string[]): Promise<boolean> {
			const [claimed] = await db.query<{ consumer: string; refill: Refill }>(CLAIM, [consumers]);
			if (!claimed) return false;
			const { consumer, refill } = claimed;
			const sources = sourcesOf(consumer);
			if (sources.length === 0)
				throw new Error(`No service that publishes the events of ${consumer} is known`);
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
		/** The sequence up to which each consumer has read. */
		async positions(consumers: readonly string[]): Promise<Map<string, number>> {
			const rows = await db.query<{ consumer: string; seq: number }>(POSITIONS, [consumers]);
			return new Map(rows.map(({ consumer, seq }) => [consumer, seq]));
		},
	};
}
export type StreamRefill = ReturnType<typeof streamRefill>;
