import type { ServiceBroker } from "moleculer";

/** A circuit breaker that does not let everything through: of one action on one other node, as this node sees it. */
export interface Breaker {
	readonly action: string;
	readonly node: string;
	/** `half-open`: one call is let through to see how it fares. */
	readonly state: "open" | "half-open";
	/** How many calls failed in a row. */
	readonly failures: number;
}
/** moleculer's own record of an endpoint. */
interface Circuit {
	readonly ep: { readonly id: string; readonly action: { readonly name: string } };
	readonly state: "close" | "half_open" | "half_open_wait" | "open";
	count: number;
	failures: number;
	readonly cbTimer: NodeJS.Timeout | null;
}
interface HasCircuits {
	readonly CircuitBreakerStore?: Map<string, Circuit>;
}

/** The breakers that are not closed, against nodes that are there. */
export function breakersOf(broker: ServiceBroker): Breaker[] {
	const { CircuitBreakerStore: circuits = new Map<string, Circuit>() } = broker as HasCircuits;
	const there = new Set(broker.registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id));
	return [...circuits.values()]
		.filter(({ state, ep }) => state !== "close" && there.has(ep.id))
		.map(({ ep, state, failures }) => ({
			action: ep.action.name,
			node: ep.id,
			state: state === "open" ? "open" : "half-open",
			failures,
		}));
}

/** How the breaker between this node and an endpoint stands. */
export function circuitOf(broker: ServiceBroker, { name }: { readonly name: string }): "closed" | "half-open" | "open" {
	const state = (broker as HasCircuits).CircuitBreakerStore?.get(name)?.state ?? "close";
	if (state === "close") return "closed";
	return state === "open" ? "open" : "half-open";
}

/**
 * A node that was lost and came back, after NATS was away for instance, has new endpoints under its old id. A breaker that still holds the old one
 * would watch the calls and open nothing.
 */
export function forgetStale(broker: ServiceBroker, endpoint: { readonly name: string }): void {
	const circuits = (broker as HasCircuits).CircuitBreakerStore;
	const circuit = circuits?.get(endpoint.name);
	if (!circuit || (circuit.ep as object) === endpoint) return;
	clearTimeout(circuit.cbTimer ?? undefined);
	circuits!.delete(endpoint.name);
}

/**
 * The endpoint has answered. moleculer weighs failures against all calls of the last minute, so that a busy node could fail for half of it; here
 * every answer takes the failures before it away, and what is left are failures in a row.
 */
export function forgive(broker: ServiceBroker, endpoint: { readonly name: string }): void {
	const circuit = (broker as HasCircuits).CircuitBreakerStore?.get(endpoint.name);
	if (circuit?.state !== "close") return;
	circuit.count = 0;
	circuit.failures = 0;
}
