import type { ServiceBroker } from "moleculer";
import { failingServices } from "../../lib/health/probes.ts";
import { type Breaker, openBreakers } from "../../lib/resilience/circuit-breakers.ts";

type Status = "up" | "down";
interface Health {
	readonly status: "healthy" | "degraded";
	/** `nodes`: number of responding nodes. */
	readonly services: Record<string, { status: Status; nodes: number }>;
	/** This gateway's circuit breakers that are open or half-open; omitted if there are none. */
	readonly breakers?: Pick<Breaker, "action" | "state">[];
}

/** Milliseconds that a node has to respond to a ping. */
const PING_MS = 2000;

/**
 * Returns a function that checks every service: it pings remote nodes, and probes the databases of
 * this node's services. Concurrent calls share one check.
 * @param names services that must be available for the shop to be healthy
 */
export function healthCheck(
	broker: ServiceBroker,
	names: readonly string[],
): () => Promise<Health> {
	const seen = new Set(names);
	let running: Promise<Health> | undefined;
	return () => {
		running ??= check(broker, seen).finally(() => {
			running = undefined;
		});
		return running;
	};
}

async function check(broker: ServiceBroker, seen: Set<string>): Promise<Health> {
	// Before the pings: while they wait for a hanging node, its heartbeats may be missed, and the
	// breakers of a node that is not available are not listed.
	const breakers = openBreakers(broker).map(({ action, state }) => ({ action, state }));
	const [responding, failing] = await Promise.all([
		respondingNodes(broker),
		failingServices(broker),
	]);
	const nodes = new Map<string, Set<string>>();
	for (const { name, nodeID = "" } of broker.registry.getServiceList({ skipInternal: true })) {
		seen.add(name);
		const works = nodeID === broker.nodeID ? !failing.includes(name) : responding.has(nodeID);
		if (works) nodes.set(name, (nodes.get(name) ?? new Set()).add(nodeID));
	}
	const services = [...seen].sort().map((name) => {
		const count = nodes.get(name)?.size ?? 0;
		return [name, { status: count > 0 ? "up" : "down", nodes: count }] as const;
	});
	return {
		status: services.every(([, { status }]) => status === "up") ? "healthy" : "degraded",
		services: Object.fromEntries(services),
		...(breakers.length > 0 ? { breakers } : {}),
	};
}

async function respondingNodes(broker: ServiceBroker): Promise<Set<string>> {
	const others = broker.registry
		.getNodeList({ onlyAvailable: true })
		.map(({ id }) => id)
		.filter((id) => id !== broker.nodeID);
	// broker.ping with an empty list waits until the timeout.
	if (others.length === 0) return new Set();
	const pongs = (await broker.ping(others, PING_MS)) as unknown as Record<string, object | null>;
	return new Set(others.filter((id) => pongs[id]));
}
