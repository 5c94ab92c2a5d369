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

/** `$1` is the group; then the four fields of a filter, each null when it does not matter. */
const CHOSEN = `group_name = $1 and dead_at is not null and ($2::uuid is null or event_id = $2)
	and ($3::text is null or event->>'type' like $3) and ($4::timestamptz is null or dead_at >= $4) and ($5::timestamptz is null or dead_at < $5)`;
const LETTER = `event_id, coalesce(event->>'type', '') as type, coalesce(event->>'subject', '') as subject, attempts,
	errors->-1->>'message' as error, dead_at`;
const LIST = `select ${LETTER} from retries where ${CHOSEN}
	and ($6::uuid is null or (dead_at, event_id) > (select dead_at, event_id from retries where group_name = $1 and event_id = $6))
	order by dead_at, event_id limit $7`;
const SHOW = `select ${LETTER}, event, errors from retries where ${CHOSEN}`;
const RETRY = `update retries set attempts = 1, next_at = now(), dead_at = null where ${CHOSEN} returning 1 as done`;
const DISCARD = `delete from retries where ${CHOSEN} returning 1 as done`;

/** The time in UTC; null without one. @throws VALIDATION_ERROR for text that is not a time between the years 1 and 9999 */
function time(field: string, text: string | undefined): string | null {
	if (text === undefined) return null;
	const year = new Date(text).getUTCFullYear();
	if (!(year >= 1 && year <= 9999))
		throw invalidField(field, "TIME", `The '${field}' field must be an RFC 3339 time`);
	return new Date(text).toISOString();
}
/** A pattern of event types for SQL's LIKE. */
export const toLikePattern = (type: string | undefined): string | null =>
	type === undefined ? null : type.replace(/[\\%_]/g, "\\$&").replace(/\*$/, "%");
/** A span of time, each end null when it is open. */
export const timeRange = ({ since, until }: Pick<DeadLetterFilter, "since" | "until">) =>
	[time("since", since), time("until", until)] as const;

/** The dead letters of one consumer group: events whose last try failed, kept until somebody decides. */
export function deadLetters(db: Database, group: string) {
	const values = (filter: DeadLetterFilter) => [
		group,
		filter.event_id ?? null,
		toLikePattern(filter.type),
		...timeRange(filter),
	];
	/** Without a filter it would be all of them, which nobody should do by leaving something out. */
	const chosen = (filter: DeadLetterFilter) => {
		if (Object.values(filter).every((value) => value === undefined))
			throw invalidField("event_id", "REQUIRED", "Say which: by event_id, type, since or until");
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
		/** Answers how many will be tried again. */
		retry: async (filter: DeadLetterFilter): Promise<number> =>
			(await db.query(RETRY, chosen(filter))).length,
		/** Answers how many are gone. */
		discard: async (filter: DeadLetterFilter): Promise<number> =>
			(await db.query(DISCARD, chosen(filter))).length,
	};
}

const FIGURES = `select
	(select least(count(*), 10000) from outbox_readers r, lateral ${unpublished("seq", 10_000)} o) as backlog,
	(select coalesce(extract(epoch from now() - min(o.time)), 0)::float8 from outbox_readers r, lateral ${unpublished("time", 1)} o) as lag_seconds,
	(select count(*) from retries where dead_at is null) as retries,
	(select count(*) from retries where dead_at is not null) as dead_letters`;
/** How far a service's events are behind, out of its own database. */
export async function eventStatistics(
	db: Database,
): Promise<{ backlog: number; lag_seconds: number; retries: number; dead_letters: number }> {
	const [figures] = await db.query<{
		backlog: number;
		lag_seconds: number;
		retries: number;
		dead_letters: number;
	}>(FIGURES);
	return figures!;
}
