import type { Event } from "./events.ts";
import { matches } from "./events.ts";

/** A consumer group: the events that it wants, and how it takes them over. */
export interface Group {
	readonly name: string;
	readonly patterns: readonly string[];
	accept(events: Event[]): Promise<void>;
}
/** A service that writes events: which, and how a group is attached to what it wrote. */
export interface Source {
	readonly types: readonly string[];
	attach(group: Group): void;
}

interface Bus {
	readonly groups: Group[];
	readonly sources: Source[];
}
const buses = new WeakMap<object, Bus>();

const wants = ({ patterns }: Group, { types }: Source) => types.some((type) => patterns.some((pattern) => matches(pattern, type)));

/**
 * Brings the sources and the groups of one process together, in whichever order they come: every group follows every outbox that holds
 * something for it. This is what carries events where no NATS is configured.
 */
export function localBus(broker: object) {
	const bus = buses.get(broker) ?? { groups: [], sources: [] };
	buses.set(broker, bus);
	return {
		join(group: Group): void {
			bus.groups.push(group);
			for (const source of bus.sources) if (wants(group, source)) source.attach(group);
		},
		offer(source: Source): void {
			bus.sources.push(source);
			for (const group of bus.groups) if (wants(group, source)) source.attach(group);
		},
	};
}
