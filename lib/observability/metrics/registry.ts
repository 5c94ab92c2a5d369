import { withTimeout } from "../../async/with-timeout.ts";

/** Declaration of a metric, with its name and help text. */
export interface Metric {
	readonly name: string;
	readonly type: "counter" | "gauge" | "histogram";
	readonly help: string;
	/** Names of the labels. Label values are bounded: never IDs, paths or user input. */
	readonly labels?: readonly string[];
	/** Upper bounds of a histogram's buckets, ascending, without +Inf. */
	readonly buckets?: readonly number[];
}
/** A counter with one set of label values. Callers keep the object, so counting is one addition. */
export class Counter {
	value = 0;

	add(amount = 1): void {
		this.value += amount;
	}
}
/** A histogram with one set of label values. */
export class Histogram {
	readonly bounds: readonly number[];
	/** Observations per bucket, not cumulative; the last element counts those above all bounds. */
	readonly counts: Float64Array;
	sum = 0;

	constructor(bounds: readonly number[]) {
		this.bounds = bounds;
		this.counts = new Float64Array(bounds.length + 1);
	}

	observe(value: number): void {
		let i = 0;
		while (i < this.bounds.length && value > this.bounds[i]!) i++;
		this.counts[i]!++;
		this.sum += value;
	}
}
/** Reports the current value of a metric. `values` are the label values, in order. */
export type ReportMetric = (metric: Metric, value: number, ...values: readonly string[]) => void;
/**
 * Runs at each scrape. If it fails or times out, the values it has reported by then are exposed.
 */
type Collector = (report: ReportMetric) => void | Promise<void>;

const COLLECT_MS = 3000;

/** The metrics of one node, in Prometheus' text format (version 0.0.4). */
export class Metrics {
	readonly #counters = new Map<
		Metric,
		Map<string, { values: readonly string[]; counter: Counter }>
	>();
	readonly #histograms = new Map<
		Metric,
		Map<string, { values: readonly string[]; histogram: Histogram }>
	>();
	readonly #collectors = new Set<Collector>();

	/** The counter with these label values. It is exposed as 0 from its creation. */
	counter(metric: Metric, ...values: readonly string[]): Counter {
		return getOrCreate(this.#counters, metric, values, () => ({ values, counter: new Counter() }))
			.counter;
	}
	histogram(metric: Metric, ...values: readonly string[]): Histogram {
		return getOrCreate(this.#histograms, metric, values, () => ({
			values,
			histogram: new Histogram(metric.buckets ?? []),
		})).histogram;
	}
	/** All counters of a metric with their label values. */
	*counters(metric: Metric): Iterable<{ values: readonly string[]; counter: Counter }> {
		yield* this.#counters.get(metric)?.values() ?? [];
	}
	/** All histograms of a metric with their label values. */
	*histograms(metric: Metric): Iterable<{ values: readonly string[]; histogram: Histogram }> {
		yield* this.#histograms.get(metric)?.values() ?? [];
	}
	/** Registers a collector. Returns a function that removes it. */
	collect(collector: Collector): () => void {
		this.#collectors.add(collector);
		return () => void this.#collectors.delete(collector);
	}

	/**
	 * Renders all metrics.
	 * @param also additional collectors
	 * @param ms time limit of the collectors
	 */
	async text(also: readonly Collector[] = [], ms = COLLECT_MS): Promise<string> {
		const linesByMetric = new Map<Metric, string[]>();
		const line = (metric: Metric, suffix: string, labels: string, value: number) => {
			const lines = linesByMetric.get(metric) ?? [];
			linesByMetric.set(metric, lines);
			lines.push(`${metric.name}${suffix}${labels && `{${labels}}`} ${value}\n`);
		};
		for (const [metric, all] of this.#counters)
			for (const { values, counter } of all.values())
				line(metric, "", labelPairs(metric, values), counter.value);
		for (const [metric, all] of this.#histograms)
			for (const { values, histogram } of all.values())
				addHistogramLines(metric, labelPairs(metric, values), histogram, line);
		let timedOut = false;
		const report: ReportMetric = (metric, value, ...values) => {
			if (!timedOut) line(metric, "", labelPairs(metric, values), value);
		};
		await withTimeout(
			Promise.allSettled([...also, ...this.#collectors].map(async (collect) => collect(report))),
			ms,
		);
		timedOut = true;
		return [...linesByMetric]
			.map(
				([{ name, type, help }, lines]) =>
					`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`,
			)
			.join("");
	}
}

function getOrCreate<T>(
	families: Map<Metric, Map<string, T>>,
	metric: Metric,
	values: readonly string[],
	make: () => T,
): T {
	const family = families.get(metric) ?? new Map<string, T>();
	families.set(metric, family);
	const key = values.join("\0");
	const found = family.get(key) ?? make();
	family.set(key, found);
	return found;
}

/** Escapes quotes, backslashes and line breaks with JSON, as Prometheus requires. */
const labelPairs = ({ labels = [] }: Metric, values: readonly string[]): string =>
	labels.map((label, i) => `${label}=${JSON.stringify(values[i] ?? "")}`).join(",");

function addHistogramLines(
	metric: Metric,
	labels: string,
	{ bounds, counts, sum }: Histogram,
	line: (metric: Metric, suffix: string, labels: string, value: number) => void,
): void {
	const before = labels && `${labels},`;
	let count = 0;
	for (const [i, bound] of [...bounds, "+Inf"].entries()) {
		count += counts[i]!;
		line(metric, "_bucket", `${before}le="${bound}"`, count);
	}
	line(metric, "_sum", labels, sum);
	line(metric, "_count", labels, count);
}

const metricsByBroker = new WeakMap<object, Metrics>();
/** The metrics of a broker's node. */
export function metricsOf(broker: object): Metrics {
	const metrics = metricsByBroker.get(broker) ?? new Metrics();
	metricsByBroker.set(broker, metrics);
	return metrics;
}
