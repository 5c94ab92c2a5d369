import { hash } from "node:crypto";
import { validate } from "uuid";
import type { Event } from "../contracts/event.ts";
import { orderedGroups } from "./ordered-groups.ts";

/**
 * Media type of a batch:
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format
 */
export const BATCH_FORMAT = "application/cloudevents-batch+json";

interface EventBatch {
	/** Event type of all its events. */
	readonly type: string;
	/** Hash of the events' IDs. */
	readonly id: string;
	readonly text: string;
}

interface SerializedEvent extends Pick<Event, "id" | "type" | "subject"> {
	readonly text: string;
}
/** Includes the comma or bracket before it. */
const sizeOf = ({ text }: SerializedEvent) => Buffer.byteLength(text) + 1;

/**
 * Packs events into the fewest messages that keep each subject's events in order when processed one
 * after the other.
 * @param maxBytes limit of a message; a single larger event is sent alone
 */
export function packEvents(events: readonly Event[], maxBytes: number): EventBatch[] {
	const serialized = events.map(
		({ id, type, subject }, i): SerializedEvent => ({
			id,
			type,
			subject,
			text: JSON.stringify(events[i]),
		}),
	);
	return orderedGroups(serialized, ({ type }) => type, { max: maxBytes - 1, sizeOf }).map(
		({ key, members }) => ({
			type: key,
			id: hash("sha256", members.map(({ id }) => id).join()),
			text: `[${members.map(({ text }) => text).join()}]`,
		}),
	);
}

export interface UnpackedEvents {
	readonly events: Event[];
	/** Elements that are not events, with the reason. */
	readonly invalid: readonly { readonly text: string; readonly error: Error }[];
}

/** Unpacks a message: a batch, or a single event. */
export function unpackEvents(text: string): UnpackedEvents {
	let found: unknown;
	try {
		found = JSON.parse(text);
	} catch (error) {
		return { events: [], invalid: [{ text, error: error as Error }] };
	}
	const all: unknown[] = Array.isArray(found) ? found : [found];
	const invalid = all
		.filter((one) => !isEvent(one))
		.map((one) => ({ text: JSON.stringify(one), error: new Error(NOT_AN_EVENT) }));
	return { events: all.filter(isEvent), invalid };
}

const NOT_AN_EVENT = "It has no type, or no UUID as its id";
/** Checks the fields needed to record an event and find its handler, which validates the rest. */
function isEvent(found: unknown): found is Event {
	const { id, type } = (found ?? {}) as Partial<Event>;
	return validate(id) && typeof type === "string";
}
