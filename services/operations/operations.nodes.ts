import type { ServiceBroker } from "moleculer";
import { sharedResult } from "../../lib/async/shared-result.ts";
import { runOutsideCalls } from "../../lib/context/call-context.ts";
import type { NodeSnapshot } from "../../lib/contracts/node-snapshot.ts";
import type { Value } from "../../lib/contracts/schema.ts";
import { bucketBounds } from "../../lib/health/node-snapshot.ts";
import type { operations } from "./operations.contract.ts";
import type { Restarts } from "./operations.restarts.ts";

type Nodes = Value<(typeof operations)["actions"]["nodes"]["returns"]>;
type Node = Nodes["nodes"][number];
interface RegistryNode {
	readonly id: string;
	readonly hostname?: string | null;
	readonly services?: readonly { readonly name: string }[];
}

/** Milliseconds that a node has to respond. */
const RESPONSE_MS = 1000;
/** Milliseconds for which all consoles receive the same result. */
export const SHARED_MS = 500;

const NO_SNAPSHOT: NodeSnapshot = {
	version: null,
	started_at: null,
	memory_mb: null,
	cpu_seconds: null,
	event_loop_delay_ms: null,
	calls: [],
	http: null,
	breakers: [],
};

/** Returns a function that reads the state of all available nodes. Callers share its rounds. */
export function nodeReader(broker: ServiceBroker, restarts: Restarts): () => Promise<Nodes> {
	async function describe({ id, hostname, services = [] }: RegistryNode): Promise<Node> {
		const names = services.map(({ name }) => name).filter((name) => !name.startsWith("$"));
		const { responding, snapshot } = await readSnapshot(broker, id);
		return {
			id,
			hostname: hostname ?? "",
			services: [...new Set(names)].sort(),
			responding,
			restarts: restarts.of(id),
			...snapshot,
		};
	}
	async function read(): Promise<Nodes> {
		const available = broker.registry.getNodeList({
			onlyAvailable: true,
			withServices: true,
		}) as unknown as RegistryNode[];
		const nodes = await Promise.all(available.map(describe));
		return {
			time: new Date().toISOString(),
			bucket_bounds: [...bucketBounds],
			nodes: nodes.sort((a, b) => a.id.localeCompare(b.id)),
		};
	}
	return sharedResult(() => runOutsideCalls(read), SHARED_MS);
}

/** A node of an older version responds, but has no snapshot. */
async function readSnapshot(
	broker: ServiceBroker,
	nodeID: string,
): Promise<{ responding: boolean; snapshot: NodeSnapshot }> {
	try {
		const options = { nodeID, timeout: RESPONSE_MS };
		const snapshot = await broker.call<NodeSnapshot, object>("$node.snapshot", {}, options);
		return { responding: true, snapshot };
	} catch (error) {
		const responding = (error as { type?: string }).type === "SERVICE_NOT_FOUND";
		return { responding, snapshot: NO_SNAPSHOT };
	}
}
