import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { nodeSnapshot } from "../../lib/contracts/node-snapshot.ts";
import { list, object, shape } from "../../lib/contracts/schema.ts";

const service = { type: "string", min: 1, max: 100 } as const;
const time = { type: "time" } as const;
const unavailable = list(service, {
	description:
		"Services whose part is missing: they did not respond, or no node runs them at present",
});
const { deadLetter, deadLetters, eventFigures } = eventActions;
const { type } = deadLetters.params;

/** Selects the dead letters that match all given fields. */
const selection = shape({
	service: { ...service, optional: true },
	event_id: { type: "uuid", optional: true },
	type,
	all: {
		type: "boolean",
		optional: true,
		description: "All dead letters of all services; excludes the other fields",
	},
});
const changed = object({ count: { type: "number", integer: true }, unavailable });

/**
 * State of the cluster for administrators: nodes, queues of events, and dead letters. Has no
 * database and no list of services: it reads the registry, and calls the event actions of every
 * service that has them.
 */
export const operations = contract({
	name: "operations",
	actions: {
		/** A node that does not respond within a second is listed with `responding: false`. */
		nodes: {
			summary: "List the nodes of the cluster with their counters",
			rest: "GET /operations/nodes",
			auth: "admin",
			params: {},
			returns: object({
				time,
				bucket_bounds: list(
					{ type: "number" },
					{ description: "Upper bounds of the buckets of durations in seconds, ascending" },
				),
				nodes: list(
					object({
						id: { type: "string" },
						hostname: { type: "string" },
						services: list(service),
						responding: { type: "boolean" },
						restarts: {
							type: "number",
							integer: true,
							description:
								"Earlier processes of the same services and host " +
								"that ended since the responding node started",
						},
						...nodeSnapshot,
					}),
				),
			}),
		},
		queues: {
			summary: "List the services with durable events and their backlogs",
			rest: "GET /operations/queues",
			auth: "admin",
			params: {},
			returns: object({
				services: list(object({ service, ...eventFigures.returns.props })),
				unavailable,
			}),
		},
		/** Oldest first. */
		listDeadLetters: {
			summary: "List dead letters: events that failed their last attempt",
			rest: "GET /operations/dead-letters",
			auth: "admin",
			params: {
				service: { ...service, optional: true },
				type,
				after: {
					type: "uuid",
					optional: true,
					description: "`event_id` of the last row of the previous page; requires `service`",
				},
				limit: { type: "number", integer: true, min: 1, max: 200, convert: true, default: 100 },
			},
			returns: object({
				rows: list(object({ service, ...deadLetters.returns.items.props })),
				unavailable,
			}),
			bulkhead: { concurrency: 8, queue: 100 },
		},
		getDeadLetter: {
			summary: "Retrieve a dead letter with its event and its error history",
			rest: "GET /operations/dead-letters/:service/:event_id",
			auth: "admin",
			params: { service, event_id: { type: "uuid" } },
			returns: object({ service, ...deadLetter.returns.props }),
			throws: ["DEAD_LETTER_NOT_FOUND"],
		},
		retry: {
			summary: "Retry the dead letters that match all given fields, or all if none is given",
			rest: "POST /operations/dead-letters/retry",
			repeatable: "a repeated request matches only events that have failed again",
			auth: "admin",
			params: selection,
			returns: changed,
			bulkhead: { concurrency: 2, queue: 20 },
		},
		/** At least one field must be given. */
		discard: {
			summary: "Discard dead letters permanently",
			rest: "POST /operations/dead-letters/discard",
			repeatable: "a discarded dead letter cannot be discarded again",
			auth: "admin",
			params: selection,
			returns: changed,
			bulkhead: { concurrency: 2, queue: 20 },
		},
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		operations: typeof operations;
	}
}
