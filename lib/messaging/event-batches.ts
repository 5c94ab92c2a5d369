import { hash } from "node:crypto";
import { validate } from "uuid";
import type { Event } from "../contracts/event.ts";
import { orderedGroups } from "./ordered-groups.ts";

/** Several events in one message: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format */
export const BATCH_FORMAT = "application/cloudevents-batch+json";

export interface EventBatch {
	/** That of all its events. */
	readonly type: string;
	/** The same for the same events, and for no others. */
	readonly id: string;
	readonly text: string;
}

interface Written extends Pick<Event, "id" | "type" | "subject"> {
	readonly text: string;
}
/** With the comma or bracket before it. */
const sizeOf = ({ text }: Written) => Buffer.byteLength(text) + 1;

/**
 * Events as messages, as few as keep the events of a subject in their order when messages are taken one after the other.
 * @param maxBytes that a message has, unless one event alone is larger
 */
export function packEvents(events: readonly Event[], maxBytes: number): EventBatch[] {
	const written = events.map(
		({ id, type, subject }, i): Written => ({ id, type, subject, text: JSON.stringify(events[i]) }),
	);
	return orderedGroups(written, ({ type }) => type, { max: maxBytes - 1, sizeOf }).map(
		({ key, members }) => ({
			type: key,
			id: hash("sha256", members.map(({ id }) => id).join()),
			text: `[${members.map(({ text }) => text).join()}]`,
		}),
	);
}

export interface UnpackedEvents {
	readonly events: Event[];
	/** What is no event, and why. */
	readonly invalid: readonly { readonly text: string; readonly error: Error }[];
}

/** What a message holds: a batch, or one event by itself. */
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
		.map((one) => ({ text: JSON.stringify(one), error: new Error(NO_EVENT) }));
	return { events: all.filter(isEvent), invalid };
}

const NO_EVENT = "It has no type, or no UUID as its id";
/** Enough to note it and to find its handler, which can fail for all else. */
function isEvent(found: unknown): found is Event {
	const { id, type } = (found ?? {}) as Partial<Event>;
	return validate(id) && typeof type === "string";
}
