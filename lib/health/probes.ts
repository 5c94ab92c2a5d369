import type { ServiceBroker } from "moleculer";
import { cacheOf } from "../caching/lease-cache.ts";

/** What a node stands on. */
export type ServerName = "postgres" | "nats" | "redis";
type RoundTrip = () => Promise<unknown>;
interface Probe {
	readonly server: ServerName;
	readonly roundTrip: RoundTrip;
}
const probes = new WeakMap<object, Probe[]>();

/** Lets a service say whether a server that it stands on answers: the probe makes a real round trip, or rejects. */
export function addProbe(service: object, server: ServerName, roundTrip: RoundTrip): void {
	probes.set(service, [...(probes.get(service) ?? []), { server, roundTrip }]);
}

/** The names of this node's services of which a probe rejects or takes longer than `ms`. */
export async function failingServices(broker: ServiceBroker, ms = 2000): Promise<string[]> {
	const verdicts = await Promise.all(
		broker.services.map(async (service) => {
			try {
				await within(
					ms,
					Promise.all((probes.get(service) ?? []).map(({ roundTrip }) => roundTrip())),
				);
				return [];
			} catch {
				return [service.name];
			}
		}),
	);
	return verdicts.flat();
}

/**
 * What of this node does not answer: its services by their names, and `nats` and `redis` where they are configured. A lost connection still
 * calls itself connected, so each is asked.
 */
export async function failingDependencies(broker: ServiceBroker, ms = 2000): Promise<string[]> {
	const [services, ...others] = await Promise.all([
		failingServices(broker, ms),
		...ownProbes(broker).map(async ({ server, roundTrip }) =>
			(await answers(roundTrip, ms)) ? [] : [server],
		),
	]);
	return [services, others].flat(2);
}

/** Whether the servers of this node answer, each as all of its services see it. */
export async function probeServers(
	broker: ServiceBroker,
	ms = 2000,
): Promise<Map<ServerName, boolean>> {
	const all = [
		...ownProbes(broker),
		...broker.services.flatMap((service) => probes.get(service) ?? []),
	];
	const found = new Map<ServerName, boolean>();
	await Promise.all(
		all.map(async ({ server, roundTrip }) => {
			const up = await answers(roundTrip, ms);
			found.set(server, up && found.get(server) !== false);
		}),
	);
	return found;
}

/** Of what belongs to no service: the connection between nodes, and the cache. */
function ownProbes(broker: ServiceBroker): Probe[] {
	const nats = (broker.transit?.tx as { client?: { flush(): Promise<void> } } | undefined)?.client;
	return [
		{ server: "nats", roundTrip: async () => nats?.flush() },
		{ server: "redis", roundTrip: () => cacheOf(broker).ping() },
	];
}

const answers = (roundTrip: RoundTrip, ms: number): Promise<boolean> =>
	within(ms, roundTrip()).then(
		() => true,
		() => false,
	);

async function within(ms: number, work: Promise<unknown>): Promise<void> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise((_, reject) => {
		timer = setTimeout(reject, ms, new Error(`No answer within ${ms} ms`));
	});
	try {
		await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
	}
}
