import { list, object, shape } from "./schema.ts";

const type = {
	type: "string",
	max: 100,
	optional: true,
	description: "Event type (order.confirmed), or all types of a kind (order.*)",
} as const;
const since = { type: "string", max: 40, optional: true, description: "RFC 3339 time" } as const;
const event_id = { type: "uuid" } as const;
const count = object({ count: { type: "number", integer: true } });

/** Event that failed its last attempt, or a message that is not a valid event. */
const deadLetter = shape({
	event_id,
	type: { type: "string" },
	subject: { type: "string" },
	attempts: { type: "number", integer: true },
	error: { type: "string", description: "Error of the last attempt" },
	dead_at: { type: "time" },
});
/** Selects the dead letters that match all given fields. */
const filter = { event_id: { ...event_id, optional: true }, type, since, until: since } as const;

/**
 * Actions for operators of every service with durable events. The mixin implements them, and the
 * contract of the service includes them with the spread operator.
 */
export const eventActions = {
	/** Oldest first. `after` is the `event_id` of the last row of the previous page. */
	deadLetters: {
		summary: "List dead letters: events that failed their last attempt",
		params: {
			...filter,
			after: { ...event_id, optional: true },
			limit: { type: "number", integer: true, min: 1, max: 1000, default: 100 },
		},
		returns: list(object(deadLetter)),
	},
	deadLetter: {
		summary: "Retrieve a dead letter with its event and its error history",
		params: { event_id },
		returns: object({
			...deadLetter,
			event: { type: "any" },
			errors: list(object({ time: { type: "time" }, message: { type: "string" } })),
		}),
		throws: ["DEAD_LETTER_NOT_FOUND"],
	},
	/** At least one field must be given. Skips invalid messages, which have no type. */
	retryDeadLetters: {
		summary: "Retry dead letters, with the full number of attempts",
		params: filter,
		returns: count,
	},
	/** At least one field must be given. */
	discardDeadLetters: {
		summary: "Discard dead letters permanently",
		params: filter,
		returns: count,
	},
	/** Consumers ignore events that already took effect. */
	replayEvents: {
		summary: "Publish retained events of the outbox again",
		params: {
			since,
			until: since,
			type,
			group: {
				type: "string",
				max: 100,
				optional: true,
				description: "Only event types that this service subscribes to",
			},
		},
		returns: count,
		timeout: 600_000,
	},
	/**
	 * One page of the outbox, oldest first and empty at the end, for consumer groups whose unread
	 * messages the stream has discarded.
	 */
	outboxEvents: {
		params: {
			after: {
				type: "string",
				pattern: "^\\d{1,19}$",
				description: "Sequence of the last event of the previous page",
			},
			types: list({ type: "string", max: 100 }, { max: 1000 }),
		},
		returns: list({ type: "any" }),
		retry: true,
	},
	/** Failed attempts of the events about a subject, for the timeline of another service. */
	retries: {
		params: { subject: { type: "uuid" } },
		returns: list(
			object({
				type: { type: "string" },
				traceparent: { type: "string", nullable: true },
				failures: list({ type: "time" }),
				state: { type: "enum", values: ["waiting", "dead", "done"] },
			}),
		),
		retry: true,
	},
	/** For consumers, which keep inbox rows for at least as long. */
	oldestEvent: {
		params: {},
		returns: object({
			time: {
				type: "time",
				nullable: true,
				description: "Time of the oldest event; null if the outbox is empty",
			},
		}),
		retry: true,
	},
	eventCheckpoints: {
		summary: "List the checkpoints of the outbox",
		params: {},
		returns: list(
			object({
				name: { type: "string" },
				owner: {
					type: "string",
					nullable: true,
					description: "Node that runs the relay; null if no node does",
				},
				lease_until: { type: "time", nullable: true },
				lag_seconds: {
					type: "number",
					description: "Age of the oldest event that the relay has not published",
				},
			}),
		),
	},
	/** No effect while a node runs the relay. */
	removeEventCheckpoint: {
		summary: "Remove an unused checkpoint, so that the outbox no longer retains events for it",
		params: { name: { type: "string", min: 1, max: 200 } },
		returns: count,
	},
	eventFigures: {
		summary: "Retrieve the backlog of events",
		params: {},
		returns: object({
			backlog: {
				type: "number",
				integer: true,
				description: "Unpublished events; counted up to 10,000",
			},
			lag_seconds: { type: "number", description: "Age of the oldest unpublished event" },
			retries: {
				type: "number",
				integer: true,
				description: "Events that wait for another attempt",
			},
			dead_letters: { type: "number", integer: true },
			pending: {
				type: "number",
				integer: true,
				description: "Unread messages of this service in the stream, each with one or more events",
			},
			unread_share: {
				type: "number",
				description:
					"Share of the stream's size or age limit used by these messages; at 1 it discards them",
			},
		}),
	},
} as const;
export type EventActions = typeof eventActions;
