import type { Counter, Metric, Metrics } from "../observability/metrics/registry.ts";

/** Counters of lookup results. */
export interface LookupCounters {
	readonly hit: Counter;
	readonly miss: Counter;
	readonly busy: Counter;
}

/**
 * Lookup counters by service name.
 * @param metric with the labels service and result
 */
export function lookupCounters(
	metrics: Metrics,
	metric: Metric,
): (service: string) => LookupCounters {
	const all = new Map<string, LookupCounters>();
	return (service) => {
		const existing = all.get(service);
		if (existing) return existing;
		const counterOf = (result: string) => metrics.counter(metric, service, result);
		const counters = { hit: counterOf("hit"), miss: counterOf("miss"), busy: counterOf("busy") };
		all.set(service, counters);
		return counters;
	};
}
