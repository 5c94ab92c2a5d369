import { LRUCache } from "lru-cache";
import type { ServiceBroker } from "moleculer";

/** Names whose ended processes are counted; the least recently changed are forgotten. */
const MAX_NAMES = 1000;
/** ID of a node without the token of its process (see `newNodeID` in moleculer.config.ts). */
const nameOf = (id: string): string => id.replace(/-[^-]*$/, "");

export interface Restarts {
	/** Processes with the name of this node that have ended since this node started. */
	of(id: string): number;
	stop(): void;
}

/**
 * Counts ended processes by the name of their node. Every process has an ID of its own, so the
 * process that replaces it has the same name and another ID. A node that was only unreachable
 * returns under its ID, and no longer counts.
 */
export function countRestarts({ localBus }: ServiceBroker): Restarts {
	const ended = new LRUCache<string, number>({ max: MAX_NAMES });
	const add = (id: string, count: number) => {
		const name = nameOf(id);
		ended.set(name, Math.max(0, (ended.get(name) ?? 0) + count));
	};
	const disconnected = ({ node }: { node: { id: string } }) => add(node.id, 1);
	const connected = ({ node, reconnected }: { node: { id: string }; reconnected: boolean }) => {
		if (reconnected) add(node.id, -1);
	};
	localBus.on("$node.disconnected", disconnected);
	localBus.on("$node.connected", connected);
	return {
		of: (id) => ended.get(nameOf(id)) ?? 0,
		stop() {
			localBus.off("$node.disconnected", disconnected);
			localBus.off("$node.connected", connected);
		},
	};
}
