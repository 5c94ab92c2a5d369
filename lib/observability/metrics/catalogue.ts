import type { Metric } from "./registry.ts";

/** Seconds, from a read out of the cache to what nobody waits for any more. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const service = ["service"];

/** Every metric that knows no domain. Those of a domain are in its `.metrics.ts`; docs/operations.md has them all. */
export const catalogue = {
	nodeInfo: {
		name: "shop_node_info",
		type: "gauge",
		help: "Always 1; what runs here",
		labels: ["version", "node", "services"],
	},
	serverUp: {
		name: "shop_server_up",
		type: "gauge",
		help: "Whether a server that this node stands on answers: postgres, nats, redis",
		labels: ["server"],
	},

	requests: {
		name: "shop_http_requests_total",
		type: "counter",
		help: "Requests that ended, 499 for those whose client did not wait",
		labels: ["method", "route", "status"],
	},
	requestSeconds: {
		name: "shop_http_request_duration_seconds",
		type: "histogram",
		help: "Time from a request to the end of its answer, without streams",
		labels: ["method", "route"],
		buckets: DURATIONS,
	},
	underWay: {
		name: "shop_http_requests_under_way",
		type: "gauge",
		help: "Requests that are being worked on, and open streams",
	},
	calls: {
		name: "shop_action_calls_total",
		type: "counter",
		help: "Calls that this node worked on: ok, refused for what was asked (4xx), or failed",
		labels: ["action", "outcome"],
	},
	callSeconds: {
		name: "shop_action_duration_seconds",
		type: "histogram",
		help: "Time that calls took on this node",
		labels: ["action"],
		buckets: DURATIONS,
	},
	refusedByLimit: {
		name: "shop_rate_limit_refused_total",
		type: "counter",
		help: "Requests that came too often",
		labels: ["policy"],
	},
	uncounted: {
		name: "shop_rate_limit_uncounted_total",
		type: "counter",
		help: "Requests that a gateway counted by itself, not together with the others, because Redis did not respond",
	},
	breakers: {
		name: "shop_breaker_state",
		type: "gauge",
		help: "Circuit breakers of this node, by what they guard: 0 closed, 1 half-open, 2 open",
		labels: ["action", "node"],
	},
	cacheLookups: {
		name: "shop_cache_lookups_total",
		type: "counter",
		help: "Values asked of the cache: hit, miss, or busy while they are being changed or filled, or nothing is kept",
		labels: ["service", "result"],
	},
	nearLookups: {
		name: "shop_near_answers_total",
		type: "counter",
		help: "Requests that a gateway might have an answer to: hit, miss, or busy while what it is made from is being changed, or nothing is kept",
		labels: ["service", "result"],
	},

	pool: {
		name: "shop_database_pool_connections",
		type: "gauge",
		help: "Connections to a service's database: busy, idle",
		labels: ["service", "state"],
	},
	poolLimit: {
		name: "shop_database_pool_limit",
		type: "gauge",
		help: "The most connections of a pool",
		labels: service,
	},
	poolWaiting: {
		name: "shop_database_pool_waiting",
		type: "gauge",
		help: "What waits for a connection of a pool",
		labels: service,
	},

	outboxBacklog: {
		name: "shop_outbox_backlog_events",
		type: "gauge",
		help: "Events in the outbox that were not handed over yet, counted up to 10000",
		labels: service,
	},
	outboxLag: {
		name: "shop_outbox_lag_seconds",
		type: "gauge",
		help: "Age of the oldest event that was not handed over yet",
		labels: service,
	},
	eventRetries: {
		name: "shop_event_retries",
		type: "gauge",
		help: "Events whose handler failed and that wait for another try",
		labels: service,
	},
	deadLetters: {
		name: "shop_dead_letters",
		type: "gauge",
		help: "Events that wait for somebody to retry or discard them",
		labels: service,
	},
	pendingMessages: {
		name: "shop_consumer_pending_messages",
		type: "gauge",
		help: "Messages in the stream, each of one or more events, that this service has still to take over",
		labels: service,
	},
	unreadShare: {
		name: "shop_consumer_unread_share",
		type: "gauge",
		help: "Share of the stream's limits, in bytes or in age, that the messages take which this service has still to take over; at 1 the stream discards them",
		labels: service,
	},
	publishedEvents: {
		name: "shop_events_published_total",
		type: "counter",
		help: "Events that were handed over to whoever carries them",
		labels: service,
	},
	consumedEvents: {
		name: "shop_events_consumed_total",
		type: "counter",
		help: "Events that took effect (done), or whose handler failed (failed) and will not be tried again (dead)",
		labels: ["service", "outcome"],
	},

	cpu: {
		name: "process_cpu_seconds_total",
		type: "counter",
		help: "Processor time, user and system",
	},
	memory: {
		name: "process_resident_memory_bytes",
		type: "gauge",
		help: "Memory that the process holds",
	},
	startTime: {
		name: "process_start_time_seconds",
		type: "gauge",
		help: "When the process began, since 1970",
	},
	heap: {
		name: "nodejs_heap_size_used_bytes",
		type: "gauge",
		help: "Memory that JavaScript's objects take",
	},
	loopLag: {
		name: "nodejs_eventloop_lag_seconds",
		type: "gauge",
		help: "Lag of the event loop, on average since the last scrape",
	},
	loopLagP99: {
		name: "nodejs_eventloop_lag_p99_seconds",
		type: "gauge",
		help: "Lag of the event loop, 99th percentile since the last scrape",
	},
	loopLagMax: {
		name: "nodejs_eventloop_lag_max_seconds",
		type: "gauge",
		help: "Lag of the event loop, the longest since the last scrape",
	},
	garbage: {
		name: "nodejs_gc_duration_seconds",
		type: "histogram",
		help: "Pauses of garbage collection: minor, major, incremental, weakcb",
		labels: ["kind"],
		buckets: [0.001, 0.01, 0.1, 1],
	},
} as const satisfies Record<string, Metric>;
