import { commonError, invalidField } from "../contracts/errors.ts";
import type { Database } from "../persistence/database.ts";
import { unpublished } from "./outbox-checkpoints.ts";

export interface DeadLetterFilter {
	readonly event_id?: string;
	readonly type?: string;
	readonly since?: string;
	readonly until?: string;
}
export interface DeadLetter {
	readonly event_id: string;
	readonly type: string;
	readonly subject: string;
	readonly attempts: number;
	readonly error: string;
	readonly dead_at: string;
}

/** `$1` is the group, followed by the four fields of a filter, each null if absent. */
const MATCHES = `group_name = $1 and dead_at is not null and ($2::uuid is null or event_id = $2)
	and ($3::text is null or event->>'type' like $3)
	and ($4::timestamptz is null or dead_at >= $4) and ($5::timestamptz is null or dead_at < $5)`;
const LETTER_COLUMNS = `event_id, coalesce(event->>'type', '') as type,
	coalesce(event->>'subject', '') as subject, attempts, errors->-1->>'message' as error, dead_at`;
const LIST = `select ${LETTER_COLUMNS} from retries where ${MATCHES}
	and ($6::uuid is null or (dead_at, event_id) > (select dead_at, event_id from retries
		where group_name = $1 and event_id = $6))
	order by dead_at, event_id limit $7`;
const SHOW = `select ${LETTER_COLUMNS}, event, errors from retries where ${MATCHES}`;
/**
 * An invalid message, which is stored as text, has no event that a handler could process. `$6` are
 * the handled types: without a handler, a retry would wait indefinitely and could not be discarded.
 */
const RETRY = `update retries set attempts = 1, next_at = now(), dead_at = null
	where ${MATCHES} and event->>'id' is not null and event->>'type' like any($6::text[])
	returning 1 as done`;
const DISCARD = `delete from retries where ${MATCHES} returning 1 as done`;

/**
 * Converts a time to UTC; null if absent.
 * @throws VALIDATION_ERROR unless it is a time between the years 1 and 9999
 */
function time(field: string, text: string | undefined): string | null {
	if (text === undefined) return null;
	const year = new Date(text).getUTCFullYear();
	if (!(year >= 1 && year <= 9999))
		throw invalidField(field, "TIME", `The '${field}' field must be an RFC 3339 time`);
	return new Date(text).toISOString();
}
/** Converts a pattern of event types to a LIKE pattern. */
export const toLikePattern = (type: string | undefined): string | null =>
	type === undefined ? null : type.replace(/[\\%_]/g, "\\$&").replace(/\*$/, "%");
/** Converts a time range; null marks an open end. */
export const timeRange = ({ since, until }: Pick<DeadLetterFilter, "since" | "until">) =>
	[time("since", since), time("until", until)] as const;

/**
 * The dead letters of one consumer group: events that failed their last attempt, until an operator
 * retries or discards them.
 */
export function deadLetters(db: Database, group: string) {
	const values = (filter: DeadLetterFilter) => [
		group,
		filter.event_id ?? null,
		toLikePattern(filter.type),
		...timeRange(filter),
	];
	/** Rejects an empty filter, which would select all dead letters by omission. */
	const requiredValues = (filter: DeadLetterFilter) => {
		if (Object.values(filter).every((value) => value === undefined))
			throw invalidField(
				"event_id",
				"REQUIRED",
				"Set at least one of event_id, type, since and until",
			);
		return values(filter);
	};
	return {
		list: (
			filter: DeadLetterFilter,
			after: string | undefined,
			limit: number,
		): Promise<DeadLetter[]> =>
			db.query<DeadLetter>(LIST, [...values(filter), after ?? null, limit]),
		async show(
			event_id: string,
		): Promise<DeadLetter & { event: unknown; errors: { time: string; message: string }[] }> {
			const [found] = await db.query<
				DeadLetter & { event: unknown; errors: { time: string; message: string }[] }
			>(SHOW, values({ event_id }));
			if (!found) throw commonError("DEAD_LETTER_NOT_FOUND");
			return found;
		},
		/**
		 * Schedules retries of the events that have a handler.
		 * @param patterns types and patterns of the handlers
		 * @returns the number of retries
		 */
		retry: async (filter: DeadLetterFilter, patterns: readonly string[]): Promise<number> =>
			(await db.query(RETRY, [...requiredValues(filter), patterns.map(toLikePattern)])).length,
		/** Deletes dead letters. Returns their number. */
		discard: async (filter: DeadLetterFilter): Promise<number> =>
			(await db.query(DISCARD, requiredValues(filter))).length,
	};
}

const STATISTICS = `select
	(select least(count(*), 10000) from outbox_readers r,
		lateral ${unpublished("seq", 10_000)} o) as backlog,
	(select coalesce(extract(epoch from now() - min(o.time)), 0)::float8
		from outbox_readers r, lateral ${unpublished("time", 1)} o) as lag_seconds,
	(select count(*) from retries where dead_at is null) as retries,
	(select count(*) from retries where dead_at is not null) as dead_letters`;
/** Backlog, lag, retries and dead letters of a service, from its own database. */
export async function eventStatistics(
	db: Database,
): Promise<{ backlog: number; lag_seconds: number; retries: number; dead_letters: number }> {
	const [statistics] = await db.query<{
		backlog: number;
		lag_seconds: number;
		retries: number;
		dead_letters: number;
	}>(STATISTICS);
	return statistics!;
}
