import type { Event } from "../contracts/event.ts";

/** A row of an outbox with EVENT_COLUMNS. */
export interface OutboxRow {
	seq: number;
	id: string;
	type: string;
	subject: string;
	data: unknown;
	traceparent: string | null;
	time: string;
}
export const EVENT_COLUMNS = "seq, id, type, subject, data, traceparent, time";

/** Converts a row to a CloudEvent. */
export function toEvent(
	{ seq, id, type, subject, data, traceparent, time }: OutboxRow,
	source: string,
): Event {
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
		sequence: String(seq).padStart(19, "0"),
	};
	return event as Event;
}
