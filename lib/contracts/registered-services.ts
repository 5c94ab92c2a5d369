import type { ServiceBroker } from "moleculer";
import type { Shape } from "./schema.ts";

/** The parts of a service's contract that the registry transmits as its metadata. */
export interface RegisteredService {
	readonly name: string;
	/** Data of the published events, by type. */
	readonly events: Readonly<Record<string, Shape>>;
	/** Patterns of the event types that it receives. */
	readonly subscriptions: readonly string[];
}

/** The cluster's services, once per node, in the order in which they were registered. */
export const registeredServices = (
	broker: ServiceBroker,
	{ onlyAvailable = false } = {},
): RegisteredService[] =>
	broker.registry
		.getServiceList({ onlyAvailable, skipInternal: true })
		.map(({ name, metadata: { events = {}, subscriptions = [] } = {} }) => ({
			name,
			events: events as RegisteredService["events"],
			subscriptions: subscriptions as RegisteredService["subscriptions"],
		}));
