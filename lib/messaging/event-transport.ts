import type { Event } from "../contracts/event.ts";
import { matches } from "../contracts/event.ts";

/** A consumer group: the events that it wants, and how it takes them over. */
export interface ConsumerGroup {
	readonly name: string;
	readonly patterns: readonly string[];
	deliver(events: Event[]): Promise<void>;
}
/** A group's way of reading what a source wrote. */
export interface ConsumerHandle {
	/** Fulfils when what was being handed over is done. May be called more than once. */
	stop(): Promise<void>;
}
/** A service that writes events: which, and how a group begins to follow what it wrote. */
export interface EventSource {
	readonly types: readonly string[];
	attach(group: ConsumerGroup): ConsumerHandle;
}
interface Link {
	readonly group: ConsumerGroup;
	readonly source: EventSource;
	readonly follower: ConsumerHandle;
}

interface Bus {
	readonly groups: Set<ConsumerGroup>;
	readonly sources: Set<EventSource>;
	readonly links: Set<Link>;
}
const buses = new WeakMap<object, Bus>();

const wants = ({ patterns }: ConsumerGroup, { types }: EventSource) =>
	types.some((type) => patterns.some((pattern) => matches(pattern, type)));

/**
 * Brings the sources and the groups of one process together, in whichever order they come: every group follows every outbox that holds
 * something for it. This is what carries events where no NATS is configured.
 */
export function inProcessTransport(broker: object) {
	const bus: Bus = buses.get(broker) ?? { groups: new Set(), sources: new Set(), links: new Set() };
	buses.set(broker, bus);
	const { groups, sources, links } = bus;

	const link = (group: ConsumerGroup, source: EventSource) => {
		if (wants(group, source)) links.add({ group, source, follower: source.attach(group) });
	};
	/** Both ends wait for what is being handed over: only then may either close its database. */
	const unlink = async (end: ConsumerGroup | EventSource) => {
		const mine = [...links].filter(({ group, source }) => group === end || source === end);
		await Promise.all(mine.map(({ follower }) => follower.stop()));
		for (const gone of mine) links.delete(gone);
	};
	return {
		/** The groups of this process. */
		groups: (): readonly ConsumerGroup[] => [...groups],
		/** A group is there; answers how it leaves. */
		join(group: ConsumerGroup): () => Promise<void> {
			groups.add(group);
			for (const source of sources) link(group, source);
			return () => {
				groups.delete(group);
				return unlink(group);
			};
		},
		/** A source is there; answers how it leaves. */
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
