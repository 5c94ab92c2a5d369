import type { ServiceBroker } from "moleculer";

/** A circuit breaker for one action on one other node, from the point of view of this node. */
export interface Breaker {
	readonly action: string;
	readonly node: string;
	/** `half-open`: one trial call is allowed. */
	readonly state: "open" | "half-open" | "closed";
	/** Consecutive failures. */
	readonly failures: number;
}
/** Moleculer's state of an endpoint. */
interface Circuit {
	readonly ep: { readonly id: string; readonly action: { readonly name: string } };
	readonly state: "close" | "half_open" | "half_open_wait" | "open";
	count: number;
	failures: number;
	readonly cbTimer: NodeJS.Timeout | null;
}

/**
 * Moleculer's states by endpoint name. `CircuitBreakerStore` is a private member of Moleculer 0.15;
 * Moleculer has no public access to its breakers. Use it only in this file: the test fails when an
 * upgrade changes it.
 */
const circuitsOf = (broker: ServiceBroker): Map<string, Circuit> | undefined =>
	(broker as { CircuitBreakerStore?: Map<string, Circuit> }).CircuitBreakerStore;

const STATES = {
	close: "closed",
	half_open: "half-open",
	half_open_wait: "half-open",
	open: "open",
} as const;

/** Breakers for all calls that this node has made to nodes that are available. */
export function allBreakers(broker: ServiceBroker): Breaker[] {
	const available = new Set(
		broker.registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id),
	);
	return [...(circuitsOf(broker)?.values() ?? [])]
		.filter(({ ep }) => available.has(ep.id))
		.map(({ ep, state, failures }) => ({
			action: ep.action.name,
			node: ep.id,
			state: STATES[state],
			failures,
		}));
}

/** Breakers that are open or half-open. */
export const openBreakers = (broker: ServiceBroker): Breaker[] =>
	allBreakers(broker).filter(({ state }) => state !== "closed");

/** State of the breaker between this node and an endpoint. */
export const breakerState = (
	broker: ServiceBroker,
	{ name }: { readonly name: string },
): Breaker["state"] => STATES[circuitsOf(broker)?.get(name)?.state ?? "close"];

/**
 * Removes the breaker of an endpoint that no longer exists. A node that reconnects, after an outage
 * of NATS for instance, gets new endpoints under its old ID. A breaker that still references the
 * old endpoint would count failures and never open.
 */
export function removeStaleBreaker(
	broker: ServiceBroker,
	endpoint: { readonly name: string },
): void {
	const circuits = circuitsOf(broker);
	const circuit = circuits?.get(endpoint.name);
	if (!circuit || (circuit.ep as object) === endpoint) return;
	clearTimeout(circuit.cbTimer ?? undefined);
	circuits!.delete(endpoint.name);
}

/**
 * Resets the failure count of a closed breaker after a response. Moleculer compares failures with
 * all calls of the last minute, so that the breaker of a busy node could stay closed for half a
 * minute of failures. With this reset, breakers count consecutive failures.
 */
export function resetFailures(broker: ServiceBroker, endpoint: { readonly name: string }): void {
	const circuit = circuitsOf(broker)?.get(endpoint.name);
	if (circuit?.state !== "close") return;
	circuit.count = 0;
	circuit.failures = 0;
}
