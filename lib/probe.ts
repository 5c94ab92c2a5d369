import type { ServiceBroker } from "moleculer";
import { cacheOf } from "./cache.ts";

type Probe = () => Promise<unknown>;
const probes = new WeakMap<object, Probe[]>();

/** Lets a service say whether something that it stands on, its database for instance, answers: the probe makes a real round trip, or rejects. */
export function addProbe(service: object, probe: Probe): void {
	probes.set(service, [...(probes.get(service) ?? []), probe]);
}

/** The names of this node's services of which a probe rejects or takes longer than `ms`. */
export async function failingServices(broker: ServiceBroker, ms = 2000): Promise<string[]> {
	const verdicts = await Promise.all(
		broker.services.map(async (service) => {
			try {
				await within(ms, Promise.all((probes.get(service) ?? []).map((probe) => probe())));
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
export async function failingParts(broker: ServiceBroker, ms = 2000): Promise<string[]> {
	const nats = (broker.transit?.tx as { client?: { flush(): Promise<void> } } | undefined)?.client;
	const servers = { nats: async () => nats?.flush(), redis: () => cacheOf(broker).ping() };
	const [services, ...others] = await Promise.all([
		failingServices(broker, ms),
		...Object.entries(servers).map(([name, roundTrip]) =>
			within(ms, roundTrip()).then(
				() => [],
				() => [name],
			),
		),
	]);
	return [services, others].flat(2);
}

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
