import { constants, monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { catalogue } from "./catalogue.ts";
import type { Metrics } from "./registry.ts";

/** Milliseconds. How often the event loop is asked; that long is no lag. */
const RESOLUTION = 20;
const KINDS: Readonly<Record<number, string>> = {
	[constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
	[constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
	[constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
	[constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
};

/** What is known of a collection, and missing in the types of Node. */
interface Collection {
	readonly duration: number;
	readonly detail: { readonly kind: number };
}

/** Watches the process itself, by the names that Prometheus' clients use for it. Answers how that ends. */
export function watchRuntime(metrics: Metrics): () => void {
	const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
	delay.enable();
	const collections = new Map(
		Object.values(KINDS).map((kind) => [kind, metrics.histogram(catalogue.garbage, kind)]),
	);
	const observer = new PerformanceObserver((list) => {
		for (const { duration, detail } of list.getEntries() as unknown as Collection[])
			collections.get(KINDS[detail.kind] ?? "")?.observe(duration / 1000);
	});
	observer.observe({ entryTypes: ["gc"] });
	const lag = (nanoseconds: number) =>
		Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION / 1000) : 0;

	const end = metrics.collect((tell) => {
		const { user, system } = process.cpuUsage();
		tell(catalogue.cpu, (user + system) / 1e6);
		const { rss, heapUsed } = process.memoryUsage();
		tell(catalogue.memory, rss);
		tell(catalogue.heap, heapUsed);
		tell(catalogue.startTime, performance.timeOrigin / 1000);
		tell(catalogue.loopLag, lag(delay.mean));
		tell(catalogue.loopLagP99, lag(delay.percentile(99)));
		tell(catalogue.loopLagMax, lag(delay.max));
		delay.reset();
	});
	return () => {
		end();
		delay.disable();
		observer.disconnect();
	};
}
