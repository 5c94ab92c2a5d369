import { type Infer, list, object, shape } from "./schema.ts";

/** What a client of a stream is told. `id` grows and is all that is needed to go on after it. */
export const streamEvent = shape({
	id: { type: "string" },
	type: { type: "string" },
	data: { type: "any" },
});
/** What happened since, oldest first. `ended`: nothing will follow. */
export const eventStreamPage = object({
	events: list(object(streamEvent)),
	ended: { type: "boolean" },
});
export type EventStreamPage = Infer<(typeof eventStreamPage)["props"]>;

/** Set-based: for each id something that changes whenever its stream has news, or null where it has none to give. Asked often, so it must be cheap. */
export const versionsOf = {
	params: { ids: list({ type: "uuid" }, { max: 1000 }) },
	returns: list({ type: "string", nullable: true }),
	retry: true,
	divide: { list: "ids" },
} as const;
