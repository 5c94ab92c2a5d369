import type { ServiceBroker } from "moleculer";
import { withTimeout } from "../async/with-timeout.ts";
import { cacheOf } from "../caching/lease-cache.ts";
import { natsClientOf } from "../resilience/transit-client.ts";

/** Servers that a node depends on. */
type ServerName = "postgres" | "nats" | "redis";
/** Servers without which a node serves requests: without its cache, it is only slower. */
const OPTIONAL: readonly ServerName[] = ["redis"];
type RoundTrip = () => Promise<unknown>;
interface Probe {
	readonly server: ServerName;
	readonly roundTrip: RoundTrip;
}
const probes = new WeakMap<object, Probe[]>();

/**
 * Registers a health check of a server that a service depends on.
 *
 * @param roundTrip sends a request to the server and rejects if it fails
 */
export function addProbe(service: object, server: ServerName, roundTrip: RoundTrip): void {
	probes.set(service, [...(probes.get(service) ?? []), { server, roundTrip }]);
}

/** Names of this node's services with a probe that fails or takes longer than `ms`. */
export async function failingServices(broker: ServiceBroker, ms = 2000): Promise<string[]> {
	const failing = await Promise.all(
		broker.services.map(async (service) => {
			const results = (probes.get(service) ?? []).map((probe) => succeeds(probe, ms));
			return (await Promise.all(results)).every(Boolean) ? [] : [service.name];
		}),
	);
	return failing.flat();
}

export interface DependencyCheck {
	/** Services with a failing probe, and `nats` and `redis` if they are configured and fail. */
	readonly failing: readonly string[];
	/** Whether the node serves requests without the failing ones. */
	readonly areOptional: boolean;
}
/**
 * Checks the dependencies of this node. A client still reports a lost connection as connected, so
 * each check makes a round trip.
 */
export async function checkDependencies(
	broker: ServiceBroker,
	ms = 2000,
): Promise<DependencyCheck> {
	const [services, servers] = await Promise.all([
		failingServices(broker, ms),
		Promise.all(
			nodeProbes(broker).map(async (probe) => ((await succeeds(probe, ms)) ? [] : [probe.server])),
		).then((failing) => failing.flat()),
	]);
	return {
		failing: [...services, ...servers],
		areOptional: services.length === 0 && servers.every((server) => OPTIONAL.includes(server)),
	};
}

/** Names of the readiness probes: `serving` also succeeds while only optional servers fail. */
type ReadinessProbe = "ready" | "serving";
/**
 * Response of a readiness probe.
 * @param isOpen whether the node accepts requests: it is neither starting nor stopping
 */
export function readinessResponse(
	probe: ReadinessProbe,
	{ failing, areOptional }: DependencyCheck,
	isOpen: boolean,
): { status: 200 | 503; content: { status: string; failing: readonly string[] } } {
	const succeeds = isOpen && (probe === "ready" ? failing.length === 0 : areOptional);
	return {
		status: succeeds ? 200 : 503,
		content: { status: succeeds ? probe : `not ${probe}`, failing },
	};
}

/** State of each server of this node: true if all its probes succeed within `ms`. */
export async function probeServers(
	broker: ServiceBroker,
	ms = 2000,
): Promise<Map<ServerName, boolean>> {
	const all = [
		...nodeProbes(broker),
		...broker.services.flatMap((service) => probes.get(service) ?? []),
	];
	const states = new Map<ServerName, boolean>();
	await Promise.all(
		all.map(async (probe) => {
			const up = await succeeds(probe, ms);
			states.set(probe.server, up && states.get(probe.server) !== false);
		}),
	);
	return states;
}

/** Probes of the servers that belong to the node and not to a service. */
function nodeProbes(broker: ServiceBroker): Probe[] {
	return [
		{ server: "nats", roundTrip: async () => natsClientOf(broker)?.flush() },
		{ server: "redis", roundTrip: () => cacheOf(broker).ping() },
	];
}

async function succeeds({ roundTrip }: Probe, ms: number): Promise<boolean> {
	const success = roundTrip().then(
		() => true,
		() => false,
	);
	return (await withTimeout(success, ms)) ?? false;
}
