import { KINDS, type Kind } from "../../tools/chaos/cluster.ts";
import { assertResponseIsDocumented } from "./answers.ts";
import { type Cluster, type ClusterNode, startCluster } from "./cluster.ts";
import { domains } from "./databases.ts";
import { type Http, httpOf } from "./http.ts";

export const kinds = Object.keys(KINDS) as Kind[];
export const kindOf = (service: string): Kind =>
	kinds.find((kind) => KINDS[kind].split(",").includes(service))!;

/** Two gateways and two nodes of each service, and tests that end them and start others. */
export interface Pairs {
	readonly cluster: Cluster;
	/** Those of a kind that are at work, the oldest first. */
	nodes(kind: Kind): readonly ClusterNode[];
	/** The gateways that customers are sent to, as a load balancer would. */
	gateways(): readonly { readonly url: string; readonly http: Http }[];
	/** Takes the oldest of a kind out, without ending it: nobody is sent to it any more, and what was sent before is still under way. */
	takeOut(kind: Kind): ClusterNode;
	add(kind: Kind): Promise<ClusterNode>;
}

/**
 * A process for each service would be eighteen, which take a minute to start on two cores; as in `npm run chaos` services that hardly call each other
 * share one, so that an order still crosses NATS with each of its steps.
 */
export async function startPairs(
	options: { env?: Record<string, string>; postgres?: boolean } = {},
): Promise<Pairs> {
	const cluster = await startCluster({
		...options,
		services: domains,
		env: { RATE_LIMIT_ENABLED: "false", ...options.env },
	});
	const running: Record<Kind, ClusterNode[]> = { edge: [], orders: [], goods: [], money: [] };
	let started = 0;
	async function add(kind: Kind): Promise<ClusterNode> {
		const node = await cluster.start(`${kind}-${++started}`, KINDS[kind].split(","));
		running[kind].push(node);
		return node;
	}
	try {
		await Promise.all(kinds.flatMap((kind) => [add(kind), add(kind)]));
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
			if (!node) throw new Error(`there is no node of ${kind} any more`);
			return node;
		},
		add,
	};
}
