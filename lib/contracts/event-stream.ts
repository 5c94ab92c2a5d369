import { type Infer, list, object, shape } from "./schema.ts";

/** Event for a client of an event stream. `id` increases; the client resumes after it. */
const streamEvent = shape({
	id: { type: "string" },
	type: { type: "string" },
	data: { type: "any" },
});
/** Events since the last page, oldest first. `ended`: no more events will follow. */
export const eventStreamPage = object({
	events: list(object(streamEvent)),
	ended: { type: "boolean" },
});
export type EventStreamPage = Infer<(typeof eventStreamPage)["props"]>;

/**
 * Contract of a set-based action that returns a version for each ID, or null if there is no stream.
 * A version changes with every new event of its stream. Gateways call the action often, so it must
 * be cheap.
 */
export const versionsOf = {
	params: { ids: list({ type: "uuid" }, { max: 1000 }) },
	returns: list({ type: "string", nullable: true }),
	retry: true,
	divide: { list: "ids" },
} as const;
