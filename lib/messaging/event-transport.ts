import type { Event } from "../contracts/event.ts";
import { matches } from "../contracts/event.ts";

/** A consumer group: the events that it subscribes to, and their delivery. */
export interface ConsumerGroup {
	readonly name: string;
	readonly patterns: readonly string[];
	deliver(events: Event[]): Promise<void>;
}
/** A running delivery to a consumer group. */
export interface ConsumerHandle {
	/** Stops it; fulfills when the current delivery is finished. May be called more than once. */
	stop(): Promise<void>;
}
/** A service that publishes events: their types, and how to connect a consumer group. */
interface EventSource {
	readonly types: readonly string[];
	attach(group: ConsumerGroup): ConsumerHandle;
}
interface Link {
	readonly group: ConsumerGroup;
	readonly source: EventSource;
	readonly delivery: ConsumerHandle;
}

interface Bus {
	readonly groups: Set<ConsumerGroup>;
	readonly sources: Set<EventSource>;
	readonly links: Set<Link>;
}
const buses = new WeakMap<object, Bus>();

const subscribes = ({ patterns }: ConsumerGroup, { types }: EventSource) =>
	types.some((type) => patterns.some((pattern) => matches(pattern, type)));

/**
 * Connects the event sources and consumer groups of one process, in any order of registration:
 * every group reads every outbox with events for it. Transport of events without NATS.
 */
export function inProcessTransport(broker: object) {
	const bus: Bus = buses.get(broker) ?? { groups: new Set(), sources: new Set(), links: new Set() };
	buses.set(broker, bus);
	const { groups, sources, links } = bus;

	const link = (group: ConsumerGroup, source: EventSource) => {
		if (subscribes(group, source)) links.add({ group, source, delivery: source.attach(group) });
	};
	/** Stops the deliveries of a group or source, so that its database can be closed. */
	const unlink = async (end: ConsumerGroup | EventSource) => {
		const removedLinks = [...links].filter(({ group, source }) => group === end || source === end);
		await Promise.all(removedLinks.map(({ delivery }) => delivery.stop()));
		for (const removed of removedLinks) links.delete(removed);
	};
	return {
		/** The consumer groups of this process. */
		groups: (): readonly ConsumerGroup[] => [...groups],
		/** Adds a consumer group. Returns a function that removes it. */
		join(group: ConsumerGroup): () => Promise<void> {
			groups.add(group);
			for (const source of sources) link(group, source);
			return () => {
				groups.delete(group);
				return unlink(group);
			};
		},
		/** Adds an event source. Returns a function that removes it. */
		offer(source: EventSource): () => Promise<void> {
			sources.add(source);
			for (const group of groups) link(group, source);
			return () => {
				sources.delete(source);
				return unlink(source);
			};
		},
	};
}
