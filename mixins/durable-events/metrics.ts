import { catalogue } from "../../lib/observability/metrics/catalogue.ts";
import { type Counter, metricsOf } from "../../lib/observability/metrics/registry.ts";

interface Self {
	readonly name: string;
	readonly broker: object;
}

/** Counts the events that a service publishes. */
export function countPublished<E, R>(
	{ broker, name }: Self,
	deliver: (events: E[]) => Promise<R>,
): (events: E[]) => Promise<R> {
	const published = metricsOf(broker).counter(catalogue.publishedEvents, name);
	return async (events) => {
		const result = await deliver(events);
		published.add(events.length);
		return result;
	};
}

/** Counters of consumed events by outcome. */
export function consumedCounters({
	broker,
	name,
}: Self): Readonly<Record<"done" | "failed" | "dead", Counter>> {
	const counterOf = (outcome: string) =>
		metricsOf(broker).counter(catalogue.consumedEvents, name, outcome);
	return { done: counterOf("done"), failed: counterOf("failed"), dead: counterOf("dead") };
}
