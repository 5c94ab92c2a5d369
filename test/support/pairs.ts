import { KINDS, type Kind } from "../../tools/chaos/cluster.ts";
import { type Cluster, type ClusterNode, startCluster } from "./cluster.ts";
import { domains } from "./databases.ts";
import { assertResponseIsDocumented } from "./documented-responses.ts";
import { type Http, httpOf } from "./http.ts";
import { freePort } from "./processes.ts";

export const kinds = Object.keys(KINDS) as Kind[];
export const kindOf = (service: string): Kind =>
	kinds.find((kind) => KINDS[kind].split(",").includes(service))!;

/**
 * Cluster with two nodes of each kind, unless requested otherwise, which tests stop and replace.
 */
export interface Pairs {
	readonly cluster: Cluster;
	/** Running nodes of a kind, the oldest first. */
	nodes(kind: Kind): readonly PairNode[];
	/** Gateways behind the load balancer. */
	gateways(): readonly { readonly url: string; readonly http: Http }[];
	/**
	 * Removes the oldest node of a kind from the load balancer without stopping it. Earlier requests
	 * are still in flight.
	 */
	takeOut(kind: Kind): PairNode;
	add(kind: Kind): Promise<PairNode>;
}
interface PairNode extends ClusterNode {
	/** Port of its metrics. */
	readonly healthPort: number;
}

/**
 * Starts four kinds of nodes, as `npm run chaos` does. Eighteen processes, two for each service,
 * would take a minute to start on two cores. Services that rarely call each other share a process,
 * so that each step of an order still crosses NATS.
 * @param options.postgres starts a separate Postgres, which tests can stop
 * @param options.each number of nodes of each kind
 */
export async function startPairs(
	options: { env?: Record<string, string>; postgres?: boolean; each?: number } = {},
): Promise<Pairs> {
	const cluster = await startCluster({
		...options,
		services: domains,
		env: { RATE_LIMIT_ENABLED: "false", ...options.env },
	});
	const running: Record<Kind, PairNode[]> = { edge: [], orders: [], goods: [], money: [] };
	let count = 0;
	async function add(kind: Kind): Promise<PairNode> {
		const healthPort = await freePort();
		const env = { HEALTH_PORT: String(healthPort) };
		const started = await cluster.start(`${kind}-${++count}`, KINDS[kind].split(","), env);
		const node = { ...started, healthPort };
		running[kind].push(node);
		return node;
	}
	try {
		const { each = 2 } = options;
		await Promise.all(kinds.flatMap((kind) => Array.from({ length: each }, () => add(kind))));
	} catch (error) {
		await cluster.stop();
		throw error;
	}
	return {
		cluster,
		nodes: (kind) => running[kind],
		gateways: () =>
			running.edge.map(({ url }) => ({ url, http: httpOf(url, assertResponseIsDocumented) })),
		takeOut(kind) {
			const node = running[kind].shift();
			if (!node) throw new Error(`no node of ${kind} is left`);
			return node;
		},
		add,
	};
}
