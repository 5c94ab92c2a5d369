import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Cluster } from "./cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";

const PRELOAD = pathToFileURL(join(root, "test/support/die-at.ts"));

/** A node that kills itself at a boundary (see die-at.ts). */
export interface DoomedNode {
	readonly id: string;
	/**
	 * Sends a request that makes the node die, and returns after its death. Repeats the request while
	 * the node runs, as clients do after an outage: on a busy machine, a node that misses heartbeats
	 * may reject the request before its boundary.
	 */
	killWith(request: () => Promise<unknown>): Promise<void>;
	/** Waits until the registry no longer lists the node. */
	disappears(): Promise<void>;
}

/** Starts a node of a service that kills itself at a boundary, such as "after payments.charge". */
export async function addDoomedNode(
	cluster: Cluster,
	name: string,
	service: string,
	boundary: string,
): Promise<DoomedNode> {
	const node = await cluster.start(name, [service], {
		DIE_AT: boundary,
		NODE_OPTIONS: `--import ${PRELOAD}`,
	});
	return {
		id: node.id,
		killWith: (request) =>
			eventually(async () => {
				const error = await request().then(
					() => new Error(`${name} has responded instead of dying`),
					(error) => error,
				);
				if (isRunning(node.process.pid)) throw error;
			}),
		disappears: () =>
			eventually(() => {
				if (cluster.has(node)) throw new Error(`${name} is still listed`);
			}),
	};
}

function isRunning(pid: number): boolean {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
}
