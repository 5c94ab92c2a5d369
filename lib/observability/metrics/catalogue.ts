import type { Metric } from "./registry.ts";

/** Seconds, from a cache hit to the longest useful response time. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const service = ["service"];

/**
 * Domain-independent metrics. Those of a domain are in its `metrics.ts`; docs/metrics.md lists
 * all.
 */
export const catalogue = {
	nodeInfo: {
		name: "shop_node_info",
		type: "gauge",
		help: "Always 1; version, node ID and services of this node",
		labels: ["version", "node", "services"],
	},
	serverUp: {
		name: "shop_server_up",
		type: "gauge",
		help: "Whether a server that this node requires responds (1) or not (0): postgres, nats, redis",
		labels: ["server"],
	},

	requests: {
		name: "shop_http_requests_total",
		type: "counter",
		help: "Finished requests; status 499 if the client disconnected before the response",
		labels: ["method", "route", "status"],
	},
	requestSeconds: {
		name: "shop_http_request_duration_seconds",
		type: "histogram",
		help: "Time from the request to the end of the response, without event streams",
		labels: ["method", "route"],
		buckets: DURATIONS,
	},
	requestsInFlight: {
		name: "shop_http_requests_in_flight",
		type: "gauge",
		help: "Requests that are being processed, including open event streams",
	},
	calls: {
		name: "shop_action_calls_total",
		type: "counter",
		help: "Calls executed by this node: ok, refused (4xx) or failed",
		labels: ["action", "outcome"],
	},
	callSeconds: {
		name: "shop_action_duration_seconds",
		type: "histogram",
		help: "Duration of calls executed by this node",
		labels: ["action"],
		buckets: DURATIONS,
	},
	refusedByLimit: {
		name: "shop_rate_limit_refused_total",
		type: "counter",
		help: "Requests rejected by a rate limit",
		labels: ["policy"],
	},
	uncounted: {
		name: "shop_rate_limit_uncounted_total",
		type: "counter",
		help: "Requests that a gateway counted locally because Redis did not respond",
	},
	breakers: {
		name: "shop_breaker_state",
		type: "gauge",
		help: "State of circuit breakers by called action and node: 0 closed, 1 half-open, 2 open",
		labels: ["action", "node"],
	},
	cacheLookups: {
		name: "shop_cache_lookups_total",
		type: "counter",
		help: "Cache lookups: hit, miss, or busy (being loaded, or caching is suspended)",
		labels: ["service", "result"],
	},
	validatedLookups: {
		name: "shop_validated_cache_lookups_total",
		type: "counter",
		help: "Lookups in validated caches, such as that of responses: hit, miss, or busy (suspended)",
		labels: ["service", "result"],
	},

	pool: {
		name: "shop_database_pool_connections",
		type: "gauge",
		help: "Connections to a service's database by state: busy, idle",
		labels: ["service", "state"],
	},
	poolLimit: {
		name: "shop_database_pool_limit",
		type: "gauge",
		help: "Maximum number of connections of a pool",
		labels: service,
	},
	poolWaiting: {
		name: "shop_database_pool_waiting",
		type: "gauge",
		help: "Requests waiting for a connection of a pool",
		labels: service,
	},

	outboxBacklog: {
		name: "shop_outbox_backlog_events",
		type: "gauge",
		help: "Events in the outbox that are not yet published, counted up to 10000",
		labels: service,
	},
	outboxLag: {
		name: "shop_outbox_lag_seconds",
		type: "gauge",
		help: "Age of the oldest event that is not yet published",
		labels: service,
	},
	eventRetries: {
		name: "shop_event_retries",
		type: "gauge",
		help: "Events whose handler failed and that will be retried",
		labels: service,
	},
	deadLetters: {
		name: "shop_dead_letters",
		type: "gauge",
		help:
			"Dead letters: events whose last attempt failed, " +
			"until an operator retries or discards them",
		labels: service,
	},
	pendingMessages: {
		name: "shop_consumer_pending_messages",
		type: "gauge",
		help: "Messages in the stream, each with one or more events, not yet processed by this service",
		labels: service,
	},
	unreadShare: {
		name: "shop_consumer_unread_share",
		type: "gauge",
		help:
			"Share of the stream's size or age limit used by unprocessed messages; " +
			"at 1 it discards them",
		labels: service,
	},
	publishedEvents: {
		name: "shop_events_published_total",
		type: "counter",
		help: "Published events",
		labels: service,
	},
	consumedEvents: {
		name: "shop_events_consumed_total",
		type: "counter",
		help: "Consumed events: processed (done), to be retried (failed), or dead letters (dead)",
		labels: ["service", "outcome"],
	},

	cpu: {
		name: "process_cpu_seconds_total",
		type: "counter",
		help: "CPU time, user and system",
	},
	memory: {
		name: "process_resident_memory_bytes",
		type: "gauge",
		help: "Resident memory of the process",
	},
	startTime: {
		name: "process_start_time_seconds",
		type: "gauge",
		help: "Start time of the process in seconds since 1970",
	},
	heap: {
		name: "nodejs_heap_size_used_bytes",
		type: "gauge",
		help: "Used JavaScript heap",
	},
	loopLag: {
		name: "nodejs_eventloop_lag_seconds",
		type: "gauge",
		help: "Mean event loop lag since the last scrape",
	},
	loopLagP99: {
		name: "nodejs_eventloop_lag_p99_seconds",
		type: "gauge",
		help: "99th percentile of the event loop lag since the last scrape",
	},
	loopLagMax: {
		name: "nodejs_eventloop_lag_max_seconds",
		type: "gauge",
		help: "Maximum event loop lag since the last scrape",
	},
	garbage: {
		name: "nodejs_gc_duration_seconds",
		type: "histogram",
		help: "Garbage collection pauses by kind: minor, major, incremental, weakcb",
		labels: ["kind"],
		buckets: [0.001, 0.01, 0.1, 1],
	},
} as const satisfies Record<string, Metric>;
