import type { ServiceBroker } from "moleculer";

/** A circuit breaker: of one action on one other node, as this node sees it. */
export interface Breaker {
	readonly action: string;
	readonly node: string;
	/** `half-open`: one call is let through to see how it fares. */
	readonly state: "open" | "half-open" | "closed";
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

const STATES = {
	close: "closed",
	half_open: "half-open",
	half_open_wait: "half-open",
	open: "open",
} as const;

/** All breakers of calls that this node has made, against nodes that are there. */
export function openBreakers(broker: ServiceBroker): Breaker[] {
	const { CircuitBreakerStore: circuits = new Map<string, Circuit>() } = broker as HasCircuits;
	const there = new Set(broker.registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id));
	return [...circuits.values()]
		.filter(({ ep }) => there.has(ep.id))
		.map(({ ep, state, failures }) => ({
			action: ep.action.name,
			node: ep.id,
			state: STATES[state],
			failures,
		}));
}

/** The breakers that do not let everything through. */
export const breakersOf = (broker: ServiceBroker): Breaker[] =>
	openBreakers(broker).filter(({ state }) => state !== "closed");

/** How the breaker between this node and an endpoint stands. */
export function circuitOf(
	broker: ServiceBroker,
	{ name }: { readonly name: string },
): Breaker["state"] {
	return STATES[(broker as HasCircuits).CircuitBreakerStore?.get(name)?.state ?? "close"];
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
