import { list, object, shape } from "./schema.ts";

const type = {
	type: "string",
	max: 100,
	optional: true,
	description: "order.confirmed, or order.* for all of a kind",
} as const;
const since = { type: "string", max: 40, optional: true, description: "An RFC 3339 time" } as const;
const event_id = { type: "uuid" } as const;
const count = object({ count: { type: "number", integer: true } });

/** An event that its handler could not take, after the last try, or that was no event at all. */
export const deadLetter = shape({
	event_id,
	type: { type: "string" },
	subject: { type: "string" },
	attempts: { type: "number", integer: true },
	error: { type: "string", description: "The last one" },
	dead_at: { type: "time" },
});
/** Which dead letters: all that fit every given field. */
const filter = { event_id: { ...event_id, optional: true }, type, since, until: since } as const;

/**
 * What every service that the events mixin serves can be asked about its events, by operators. The mixin implements them; a contract spreads
 * them into its actions.
 */
export const eventActions = {
	/** Oldest first; the next page begins after the last one's `event_id`. */
	deadLetters: {
		summary: "Events that their handler could not take",
		params: {
			...filter,
			after: { ...event_id, optional: true },
			limit: { type: "number", integer: true, min: 1, max: 1000, default: 100 },
		},
		returns: list(object(deadLetter)),
	},
	deadLetter: {
		summary: "One dead letter with its event and the history of its errors",
		params: { event_id },
		returns: object({
			...deadLetter,
			event: { type: "any" },
			errors: list(object({ time: { type: "time" }, message: { type: "string" } })),
		}),
		throws: ["DEAD_LETTER_NOT_FOUND"],
	},
	/** At least one field must be given. */
	retryDeadLetters: {
		summary: "Try dead letters again, from the first try on",
		params: filter,
		returns: count,
	},
	/** At least one field must be given. */
	discardDeadLetters: { summary: "Give dead letters up for good", params: filter, returns: count },
	/** Consumers ignore what they had already. */
	replayEvents: {
		summary: "Tell again what the outbox still holds",
		params: {
			since,
			until: since,
			type,
			group: {
				type: "string",
				max: 100,
				optional: true,
				description: "Only what this service subscribes to",
			},
		},
		returns: count,
		timeout: 600_000,
	},
	/** For consumer groups whose unread messages the stream has discarded: one page of the outbox, oldest first, empty at its end. */
	outboxEvents: {
		params: {
			after: {
				type: "string",
				pattern: "^\\d{1,19}$",
				description: "The sequence behind which the page begins",
			},
			types: list({ type: "string", max: 100 }, { max: 1000 }),
		},
		returns: list({ type: "any" }),
		retry: true,
	},
	/** For other services: which events about something the handler had to try again, and when it failed. */
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
	/** For consumers, which remember the events that they received for at least as long. */
	oldestEvent: {
		params: {},
		returns: object({
			time: {
				type: "time",
				nullable: true,
				description: "When it was written; null if the outbox is empty",
			},
		}),
		retry: true,
	},
	eventReaders: {
		summary: "The readers of the outbox",
		params: {},
		returns: list(
			object({
				name: { type: "string" },
				owner: {
					type: "string",
					nullable: true,
					description: "The node that reads; null while none does",
				},
				lease_until: { type: "time", nullable: true },
				lag_seconds: {
					type: "number",
					description: "Age of the oldest event that it has not handed over",
				},
			}),
		),
	},
	/** Only one for which no node reads. */
	removeEventReader: {
		summary:
			"Remove a reader that is no longer used, so that the outbox no longer keeps events for it",
		params: { name: { type: "string", min: 1, max: 200 } },
		returns: count,
	},
	eventFigures: {
		summary: "How far events are behind",
		params: {},
		returns: object({
			backlog: {
				type: "number",
				integer: true,
				description: "Events not handed over yet; counted up to 10,000",
			},
			lag_seconds: { type: "number", description: "Age of the oldest of them" },
			retries: { type: "number", integer: true, description: "Events waiting for another try" },
			dead_letters: { type: "number", integer: true },
			pending: {
				type: "number",
				integer: true,
				description:
					"Messages in the stream, each of one or more events, that this service has still to take over",
			},
			unread_share: {
				type: "number",
				description:
					"The share of the stream's limits, in bytes or in age, that these messages take; they are discarded at 1",
			},
		}),
	},
} as const;
export type EventActions = typeof eventActions;
