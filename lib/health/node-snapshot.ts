import type { ServiceBroker } from "moleculer";
import type { NodeSnapshot } from "../contracts/node-snapshot.ts";
import { catalogue } from "../observability/metrics/catalogue.ts";
import { eventLoopDelay } from "../observability/metrics/event-loop-delay.ts";
import { type Histogram, type Metrics, metricsOf } from "../observability/metrics/registry.ts";
import { version } from "../process/version.ts";
import { openBreakers } from "../resilience/circuit-breakers.ts";

type Calls = NodeSnapshot["calls"][number];
type Http = NonNullable<NodeSnapshot["http"]>;
interface Durations {
	seconds: number;
	readonly buckets: number[];
}
/** Milliseconds without a snapshot after which the event loop is no longer measured. */
const DELAY_IDLE_MS = 30_000;
/** Upper bounds of the buckets in seconds. Nodes of all versions use them: they must not change. */
export const bucketBounds: readonly number[] = catalogue.callSeconds.buckets;

const readDelay = eventLoopDelay(DELAY_IDLE_MS);
const round = (value: number, digits: number) => Number(value.toFixed(digits));
const noDurations = () => ({ seconds: 0, buckets: Array(bucketBounds.length + 1).fill(0) });

/** Snapshot of this node. Reads existing counters, so it costs nothing while it is not called. */
export function snapshotOf(broker: ServiceBroker): NodeSnapshot {
	const { user, system } = process.cpuUsage();
	const metrics = metricsOf(broker);
	const delay = readDelay();
	return {
		version,
		started_at: new Date(performance.timeOrigin).toISOString(),
		memory_mb: round(process.memoryUsage.rss() / 1e6, 1),
		cpu_seconds: round((user + system) / 1e6, 3),
		event_loop_delay_ms: delay ? delay.p99 * 1000 : null,
		calls: callsByService(metrics),
		http: broker.getLocalService("api") ? requests(metrics) : null,
		breakers: openBreakers(broker).map(({ action, node, state }) => ({
			action,
			node,
			state: state as "open" | "half-open",
		})),
	};
}

function callsByService(metrics: Metrics): Calls[] {
	const found = new Map<string, Calls>();
	const of = (action: string): Calls => {
		const service = action.slice(0, action.lastIndexOf("."));
		const entry = found.get(service) ?? {
			service,
			ok: 0,
			refused: 0,
			failed: 0,
			...noDurations(),
		};
		found.set(service, entry);
		return entry;
	};
	for (const { values, counter } of metrics.counters(catalogue.calls)) {
		const [action, outcome] = values as [string, "ok" | "refused" | "failed"];
		of(action)[outcome] += counter.value;
	}
	for (const { values, histogram } of metrics.histograms(catalogue.callSeconds))
		addDurations(of(values[0]!), histogram);
	return [...found.values()].sort((a, b) => a.service.localeCompare(b.service));
}

function requests(metrics: Metrics): Http {
	const http: Http = { requests: 0, failed: 0, ...noDurations() };
	for (const { values, counter } of metrics.counters(catalogue.requests)) {
		http.requests += counter.value;
		if (Number(values[2]) >= 500) http.failed += counter.value;
	}
	for (const { histogram } of metrics.histograms(catalogue.requestSeconds))
		addDurations(http, histogram);
	return http;
}

function addDurations(to: Durations, { sum, counts }: Histogram): void {
	to.seconds = round(to.seconds + sum, 6);
	for (const [i, count] of counts.entries()) to.buckets[i]! += count;
}
