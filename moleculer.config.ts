import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import type { BrokerOptions } from "moleculer";
import { LazyValidator } from "./lib/contracts/lazy-validator.ts";
import { snapshotOf } from "./lib/health/node-snapshot.ts";
import { natsOptions } from "./lib/messaging/nats-options.ts";
import { Log } from "./lib/observability/logging/log.ts";
import { openTracing } from "./lib/observability/tracing/open-tracing.ts";
import type { Tracing } from "./lib/observability/tracing/tracing.ts";
import { openBreakers } from "./lib/resilience/circuit-breakers.ts";
import { Heartbeats } from "./lib/resilience/heartbeats.ts";
import { isNodeFailure } from "./lib/resilience/outages.ts";
import type { Env } from "./lib/settings/env.ts";
import { selectedServices, serviceNames } from "./lib/settings/node.ts";
import { authorize } from "./middlewares/authorize.ts";
import { bulkhead } from "./middlewares/bulkhead.ts";
import { cacheResults } from "./middlewares/cache.ts";
import { callMetrics } from "./middlewares/call-metrics.ts";
import { circuitBreaker } from "./middlewares/circuit-breaker.ts";
import { coalesceWrites } from "./middlewares/coalesce-writes.ts";
import { cpuUsage } from "./middlewares/cpu-usage.ts";
import { deadline } from "./middlewares/deadline.ts";
import { divideLargeCalls } from "./middlewares/divide-large-calls.ts";
import { retry } from "./middlewares/retry.ts";
import { traceparent } from "./middlewares/traceparent.ts";
import { tracing } from "./middlewares/tracing.ts";

/** Characters of the service names in a node id. */
const MAX_SERVICES_LENGTH = 40;

/**
 * Names the services of a node: `shop` for all of them, `auth+users`, or `auth+orders+5` for many.
 */
function describeServices(selected: string): string {
	const folder = join(import.meta.dirname, "services");
	const names = selectedServices(folder, selected);
	if (names.length === serviceNames(folder).length) return "shop";
	const all = names.join("+");
	if (all.length <= MAX_SERVICES_LENGTH) return all;
	const [first, second, ...others] = names;
	return `${first}+${second}+${others.length}`;
}

/**
 * `orders-<host>-<token>`: the services, or NODEID in place of services and host, and a token that
 * is new at each start, because Moleculer's registry and circuit breakers identify a node by its
 * id alone.
 */
function newNodeID({ NODEID, SERVICES }: Env): string {
	const prefix = NODEID ?? `${describeServices(SERVICES)}-${hostname()}`;
	return `${prefix}-${Date.now().toString(36)}${randomBytes(3).toString("hex")}`;
}

/** Opens the tracing of a node if its settings enable it. */
export const openTraces = (env: Env): Promise<Tracing | undefined> =>
	openTracing(env, newNodeID(env));

/** Broker options that differ from the defaults of Moleculer, with reasons. */
export function brokerOptions(env: Env, traces?: Tracing, log = new Log(env)): BrokerOptions {
	const nodeID = traces?.instance ?? newNodeID(env);
	return {
		namespace: [env.NAMESPACE, env.COLOR].filter(Boolean).join("-"),
		nodeID,
		logger: log as unknown as NonNullable<BrokerOptions["logger"]>,
		validator: new LazyValidator(),
		transporter: env.TRANSPORTER ? nats(env.TRANSPORTER, nodeID) : null,
		// Detects a dead node within 5 seconds. With Moleculer's heartbeats and defaults, a dead node
		// received calls for half a minute.
		registry: { discoverer: new Heartbeats() },
		heartbeatTimeout: 3,
		// Milliseconds between checks for missing dependencies. With the default of 1000, the shop
		// started two seconds later: carts waits for orders, which waits for others.
		dependencyInterval: 50,
		// A started service is announced to other nodes 50 ms after the last one, instead of 1000.
		transit: { serviceChangedDebounceTime: 50 } as NonNullable<BrokerOptions["transit"]>,
		// The default is no timeout, so that a call to a hanging service would never return.
		requestTimeout: 10_000,
		// Opens after five consecutive failures (see middlewares/circuit-breaker.ts) and allows a trial
		// call after 30 seconds.
		circuitBreaker: {
			enabled: true,
			threshold: 1,
			minRequestCount: 5,
			halfOpenTime: 30_000,
			check: isNodeFailure,
		},
		tracking: { enabled: true, shutdownTimeout: env.DRAIN_MS },
		internalMiddlewares: false,
		middlewares: middlewares(env, traces),
		internalServices: {
			$node: {
				name: "$node",
				actions: {
					/** For `call $node.breakers` in the REPL. `--$nodeID` selects another node. */
					breakers: { handler: (ctx) => openBreakers(ctx.broker) },
					/** For the service operations, which calls each node. */
					snapshot: { handler: (ctx) => snapshotOf(ctx.broker) },
				},
			},
		},
		// The program handles signals itself, so that the broker stops after the services have drained.
		skipProcessEventRegistration: true,
	};
}

/**
 * Middlewares of Moleculer and our own, from the handler outwards. Moleculer's default order places
 * the breaker inside the timeout, where it never counts one, and custom middlewares inside the
 * cache, where a cached result would skip them. Middlewares that no contract uses (fallback,
 * debounce, throttle) are omitted, and so is Moleculer's cacher
 * (docs/adr/0007-cache-with-leases.md).
 */
const middlewares = (env: Env, traces: Tracing | undefined) =>
	[
		"ActionHook",
		bulkhead,
		cacheResults(env),
		"Validator",
		authorize,
		// Counts calls in flight, so that a stopping service can wait for them.
		"ContextTracker",
		"Timeout",
		circuitBreaker,
		// Removes a failed request from the list of pending ones; each retry is a request of its own.
		"ErrorHandler",
		retry,
		// Outside retries: a message that is too large for one node is too large for all.
		divideLargeCalls,
		deadline,
		...(traces ? [tracing(traces)] : []),
		traceparent,
		// Outside all others, so that it also counts the calls that they reject.
		callMetrics,
		cpuUsage,
		coalesceWrites,
	] as unknown as NonNullable<BrokerOptions["middlewares"]>;

const nats = (url: string, name: string) => ({
	type: "NATS" as const,
	options: {
		...natsOptions(url, name),
		// Detects a server that vanished without closing the connection after 10 seconds instead of 4
		// minutes.
		pingInterval: 5000,
	},
});
