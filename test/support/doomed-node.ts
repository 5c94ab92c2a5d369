import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Cluster } from "./cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";

const NODE_OPTIONS = `--import ${pathToFileURL(join(root, "test/support/die-at.ts"))}`;
const DIES_WITHIN = 30;

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

/** Starts a node of a service that kills itself at a boundary. */
export async function addDoomedNode(
	cluster: Cluster,
	service: string,
	name: string,
	boundary: string,
): Promise<DoomedNode> {
	const env = { NODE_OPTIONS, DIE_AT: boundary };
	const { id, process } = await cluster.start(name, [service], env);
	return {
		nodeID: id,
		killWith: (request) =>
			eventually(async () => {
				const error = await request().then(
					() => new Error(`${name} has responded instead of dying`),
					(error) => error,
				);
				if (isRunning(process.pid)) throw error;
			}, DIES_WITHIN),
	};
}

function isRunning(pid: number): boolean {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
}
