import type { Event } from "../contracts/event.ts";
import { matches } from "../contracts/event.ts";

/** A consumer group: the events that it wants, and how it takes them over. */
export interface Group {
	readonly name: string;
	readonly patterns: readonly string[];
	accept(events: Event[]): Promise<void>;
}
/** A group's way of reading what a source wrote. */
export interface Follower {
	/** Fulfils when what was being handed over is done. May be called more than once. */
	stop(): Promise<void>;
}
/** A service that writes events: which, and how a group begins to follow what it wrote. */
export interface Source {
	readonly types: readonly string[];
	attach(group: Group): Follower;
}
interface Link {
	readonly group: Group;
	readonly source: Source;
	readonly follower: Follower;
}

interface Bus {
	readonly groups: Set<Group>;
	readonly sources: Set<Source>;
	readonly links: Set<Link>;
}
const buses = new WeakMap<object, Bus>();

const wants = ({ patterns }: Group, { types }: Source) =>
	types.some((type) => patterns.some((pattern) => matches(pattern, type)));

/**
 * Brings the sources and the groups of one process together, in whichever order they come: every group follows every outbox that holds
 * something for it. This is what carries events where no NATS is configured.
 */
export function localBus(broker: object) {
	const bus: Bus = buses.get(broker) ?? { groups: new Set(), sources: new Set(), links: new Set() };
	buses.set(broker, bus);
	const { groups, sources, links } = bus;

	const link = (group: Group, source: Source) => {
		if (wants(group, source)) links.add({ group, source, follower: source.attach(group) });
	};
	/** Both ends wait for what is being handed over: only then may either close its database. */
	const unlink = async (end: Group | Source) => {
		const mine = [...links].filter(({ group, source }) => group === end || source === end);
		await Promise.all(mine.map(({ follower }) => follower.stop()));
		for (const gone of mine) links.delete(gone);
	};
	return {
		/** The groups of this process. */
		groups: (): readonly Group[] => [...groups],
		/** A group is there; answers how it leaves. */
		join(group: Group): () => Promise<void> {
			groups.add(group);
			for (const source of sources) link(group, source);
			return () => {
				groups.delete(group);
				return unlink(group);
			};
		},
		/** A source is there; answers how it leaves. */
		offer(source: Source): () => Promise<void> {
			sources.add(source);
			for (const group of groups) link(group, source);
			return () => {
				sources.delete(source);
				return unlink(source);
			};
		},
	};
}
