import type { Counter, Metric, Metrics } from "../observability/metrics/registry.ts";

/** How often what was asked for was there. */
export interface LookupCounters {
	readonly hit: Counter;
	readonly miss: Counter;
	readonly busy: Counter;
}

/** Those of each service, by its name. @param metric has the labels service and result */
export function lookupCounters(
	metrics: Metrics,
	metric: Metric,
): (service: string) => LookupCounters {
	const all = new Map<string, LookupCounters>();
	return (service) => {
		const known = all.get(service);
		if (known) return known;
		const counted = (result: string) => metrics.counter(metric, service, result);
		const made = { hit: counted("hit"), miss: counted("miss"), busy: counted("busy") };
		all.set(service, made);
		return made;
	};
}
