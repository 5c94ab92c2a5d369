import { join } from "node:path";
import type { ServiceBroker } from "moleculer";
import type { Cluster, Kind } from "../../tools/chaos/cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";

/** A node that kills itself at a boundary (see die-at.ts). */
export interface DoomedNode {
	readonly nodeID: string;
	/**
	 * Sends a request that makes the node die, and returns after its death. Repeats the request while
	 * the node runs, as clients do after an outage: on a busy machine, a node that misses heartbeats
	 * may reject the request before its boundary.
	 */
	killWith(request: () => Promise<unknown>): Promise<void>;
}

/** Starts a doomed node, and waits until `broker` can call it. */
export async function addDoomedNode(
	{ cluster, broker }: { readonly cluster: Cluster; readonly broker: ServiceBroker },
	kind: Kind,
	name: string,
	env: { readonly DIE_AT: string; readonly SERVICES?: string },
): Promise<DoomedNode> {
	const preload = join(root, "test/support/die-at.ts");
	const member = await cluster.add(kind, name, { env, preload });
	const nodeID = await nodeOf(broker, name);
	return {
		nodeID,
		killWith: (request) =>
			eventually(async () => {
				const error = await request().then(
					() => new Error(`${name} has responded instead of dying`),
					(error) => error,
				);
				if (isRunning(member.pid!)) throw error;
			}),
	};
}

/** ID of the node with this name, as soon as `broker` can call it. */
export const nodeOf = (broker: ServiceBroker, name: string): Promise<string> =>
	eventually(() => {
		const node = broker.registry
			.getNodeList({ onlyAvailable: true, withServices: true })
			.find(({ id }) => id.startsWith(`${name}-`));
		if (!node) throw new Error(`${name} has not joined`);
		return node.id;
	});

function isRunning(pid: number): boolean {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
}
