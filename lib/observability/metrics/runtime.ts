import { constants, PerformanceObserver } from "node:perf_hooks";
import { catalogue } from "./catalogue.ts";
import { eventLoopDelay } from "./event-loop-delay.ts";
import type { Metrics } from "./registry.ts";

/** Milliseconds without a scrape after which the event loop is no longer measured. */
const SCRAPE_IDLE_MS = 150_000;
const KINDS: Readonly<Record<number, string>> = {
	[constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
	[constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
	[constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
	[constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
};

/** The used part of a garbage collection entry; Node's types lack it. */
interface GarbageCollection {
	readonly duration: number;
	readonly detail: { readonly kind: number };
}

/**
 * Collects process metrics under the names of Prometheus' client libraries. Returns a function that
 * stops it.
 */
export function watchRuntime(metrics: Metrics): () => void {
	const readDelay = eventLoopDelay(SCRAPE_IDLE_MS);
	const collections = new Map(
		Object.values(KINDS).map((kind) => [kind, metrics.histogram(catalogue.garbage, kind)]),
	);
	const observer = new PerformanceObserver((list) => {
		for (const { duration, detail } of list.getEntries() as unknown as GarbageCollection[])
			collections.get(KINDS[detail.kind] ?? "")?.observe(duration / 1000);
	});
	observer.observe({ entryTypes: ["gc"] });
	const end = metrics.collect((report) => {
		const { user, system } = process.cpuUsage();
		report(catalogue.cpu, (user + system) / 1e6);
		const { rss, heapUsed } = process.memoryUsage();
		report(catalogue.memory, rss);
		report(catalogue.heap, heapUsed);
		report(catalogue.startTime, performance.timeOrigin / 1000);
		const delay = readDelay();
		if (!delay) return;
		report(catalogue.loopLag, delay.mean);
		report(catalogue.loopLagP99, delay.p99);
		report(catalogue.loopLagMax, delay.max);
	});
	return () => {
		end();
		observer.disconnect();
	};
}
