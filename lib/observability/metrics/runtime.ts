import { constants, monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { catalogue } from "./catalogue.ts";
import type { Metrics } from "./registry.ts";

/** Sampling interval in milliseconds. The monitor's measurements include it. */
const RESOLUTION = 20;
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
	const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
	delay.enable();
	const collections = new Map(
		Object.values(KINDS).map((kind) => [kind, metrics.histogram(catalogue.garbage, kind)]),
	);
	const observer = new PerformanceObserver((list) => {
		for (const { duration, detail } of list.getEntries() as unknown as GarbageCollection[])
			collections.get(KINDS[detail.kind] ?? "")?.observe(duration / 1000);
	});
	observer.observe({ entryTypes: ["gc"] });
	const lag = (nanoseconds: number) =>
		Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION / 1000) : 0;

	const end = metrics.collect((report) => {
		const { user, system } = process.cpuUsage();
		report(catalogue.cpu, (user + system) / 1e6);
		const { rss, heapUsed } = process.memoryUsage();
		report(catalogue.memory, rss);
		report(catalogue.heap, heapUsed);
		report(catalogue.startTime, performance.timeOrigin / 1000);
		report(catalogue.loopLag, lag(delay.mean));
		report(catalogue.loopLagP99, lag(delay.percentile(99)));
		report(catalogue.loopLagMax, lag(delay.max));
		delay.reset();
	});
	return () => {
		end();
		delay.disable();
		observer.disconnect();
	};
}
