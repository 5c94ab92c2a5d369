import { type Infer, list, object, shape } from "./schema.ts";

const count = { type: "number", integer: true } as const;
const seconds = { type: "number", description: "Sum of all durations in seconds" } as const;
const buckets = list(count, {
	description: "Durations per bucket, not cumulative; the last bucket is above all bounds",
});

/** State of a node. All counters begin at 0 when the node starts. */
export const nodeSnapshot = shape({
	version: { type: "string", nullable: true },
	started_at: { type: "time", nullable: true },
	memory_mb: {
		type: "number",
		nullable: true,
		description: "Resident memory of the process in megabytes",
	},
	cpu_seconds: { type: "number", nullable: true, description: "CPU time, user and system" },
	event_loop_delay_ms: {
		type: "number",
		nullable: true,
		description:
			"99th percentile of the event loop's delay since the previous snapshot; null in the first",
	},
	/** Calls that the node executed, per service that it runs. */
	calls: list(
		object({
			service: { type: "string" },
			ok: count,
			refused: { ...count, description: "Rejected with an expected error (4xx)" },
			failed: count,
			seconds,
			buckets,
		}),
	),
	http: {
		type: "object",
		nullable: true,
		description: "Requests to the node's gateway; null if it has none",
		props: {
			requests: count,
			failed: { ...count, description: "Responses with a status of 500 or above" },
			seconds,
			buckets,
		},
	},
	breakers: list(
		object({
			action: { type: "string" },
			node: { type: "string", description: "The node that the action is called on" },
			state: { type: "enum", values: ["open", "half-open"] },
		}),
		{ description: "The node's circuit breakers that are not closed" },
	),
});
export type NodeSnapshot = Infer<typeof nodeSnapshot>;
