import type { Event } from "../contracts/event.ts";
import type { Queryable } from "../persistence/database.ts";
import { EVENT_COLUMNS, type OutboxRow, toEvent } from "./outbox-row.ts";

const ROWS = 500;
/** A page travels as one message, and NATS takes 256 KiB at least. */
const MAX_BYTES = 128 * 1024;
/** Bytes of an event beside its data. */
const ENVELOPE_BYTES = 1024;
/** Without a name, so that it is planned for the size that the table has. */
const PAGE = `select ${EVENT_COLUMNS}, octet_length(data::text) as bytes from outbox
	where seq > $1::bigint and type = any($2) order by seq limit ${ROWS}`;

/**
 * The events of some types that an outbox holds behind a sequence, oldest first: one page, which has at least one event if there are more.
 * @param source as in the events' `source`
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
