import { catalogue } from "../../lib/observability/metrics/catalogue.ts";
import { type Counter, metricsOf } from "../../lib/observability/metrics/registry.ts";

interface Self {
	readonly name: string;
	readonly broker: object;
}

/** Counts what a service hands over. */
export function countPublished<E, R>(
	{ broker, name }: Self,
	deliver: (found: E[]) => Promise<R>,
): (found: E[]) => Promise<R> {
	const published = metricsOf(broker).counter(catalogue.publishedEvents, name);
	return async (found) => {
		const result = await deliver(found);
		published.add(found.length);
		return result;
	};
}

/** What becomes of the events that a service takes over. */
export function consumedCounters({
	broker,
	name,
}: Self): Readonly<Record<"done" | "failed" | "dead", Counter>> {
	const counted = (outcome: string) =>
		metricsOf(broker).counter(catalogue.consumedEvents, name, outcome);
	return { done: counted("done"), failed: counted("failed"), dead: counted("dead") };
}
