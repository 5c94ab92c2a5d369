import type { Event } from "../contracts/event.ts";
import type { Queryable } from "../persistence/database.ts";
import { EVENT_COLUMNS, type OutboxRow, toEvent } from "./outbox-row.ts";

const ROWS = 500;
/** Limit of a page, which is sent as one message; NATS accepts at least 512 KiB. */
const MAX_BYTES = 128 * 1024;
/** Estimated bytes of an event without its data. */
const ENVELOPE_BYTES = 1024;
/** Unnamed, so that it is planned for the current size of the table. */
const PAGE = `select ${EVENT_COLUMNS}, octet_length(data::text) as bytes from outbox
	where seq > $1::bigint and type = any($2) order by seq limit ${ROWS}`;

/**
 * One page of an outbox's events of some types after a sequence, oldest first. Contains at least
 * one event if there are more.
 * @param source the events' `source`
 */
export async function outboxPage(
	db: Queryable,
	source: string,
	after: string,
	types: readonly string[],
): Promise<Event[]> {
	const rows = await db.query<OutboxRow & { bytes: number }>(PAGE, [after, types]);
	let bytes = 0;
	const page = rows.filter((row, i) => {
		bytes += row.bytes + ENVELOPE_BYTES;
		return i === 0 || bytes <= MAX_BYTES;
	});
	return page.map((row) => toEvent(row, source));
}
