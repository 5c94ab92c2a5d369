import { withTimeout } from "../../async/with-timeout.ts";
/** A metric as it is declared, once, where its name and its words are. */
export interface Metric {
	readonly name: string;
	readonly type: "counter" | "gauge" | "histogram";
	readonly help: string;
	/** Names of its labels. What a label may hold is bounded: ids, paths and what customers write never get in. */
	readonly labels?: readonly string[];
	/** Upper bounds of a histogram, ascending; what is above them all is counted as well. */
	readonly buckets?: readonly number[];
}
/** One line of a counter. Whoever counts keeps it, so that counting is an addition and nothing else. */
export class Counter {
	value = 0;

	add(amount = 1): void {
		this.value += amount;
	}
}
/** The lines of a histogram with one set of labels. */
export class Histogram {
	readonly bounds: readonly number[];
	/** How many were within each bound and above the one before; the last are above all. */
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
/** Tells the value that a metric has at the moment; `values` are those of its labels, in their order. */
export type ReportMetric = (metric: Metric, value: number, ...values: readonly string[]) => void;
/** Asked at each scrape. One that fails or takes too long is left out, and what it has told by then counts. */
export type Collector = (tell: ReportMetric) => void | Promise<void>;

const COLLECT_MS = 3000;

/** What one node counts, and how it is told in Prometheus' text format (version 0.0.4). */
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

	/** The counter with these labels; the same one each time, and told as 0 from now on. */
	counter(metric: Metric, ...values: readonly string[]): Counter {
		return member(this.#counters, metric, values, () => ({ values, counter: new Counter() }))
			.counter;
	}
	histogram(metric: Metric, ...values: readonly string[]): Histogram {
		return member(this.#histograms, metric, values, () => ({
			values,
			histogram: new Histogram(metric.buckets ?? []),
		})).histogram;
	}
	/** Answers how it ends. */
	collect(collector: Collector): () => void {
		this.#collectors.add(collector);
		return () => void this.#collectors.delete(collector);
	}

	/** @param also asked besides those that were added */
	async text(also: readonly Collector[] = [], ms = COLLECT_MS): Promise<string> {
		const told = new Map<Metric, string[]>();
		const line = (metric: Metric, suffix: string, labels: string, value: number) => {
			const lines = told.get(metric) ?? [];
			told.set(metric, lines);
			lines.push(`${metric.name}${suffix}${labels && `{${labels}}`} ${value}\n`);
		};
		for (const [metric, all] of this.#counters)
			for (const { values, counter } of all.values())
				line(metric, "", pairs(metric, values), counter.value);
		for (const [metric, all] of this.#histograms)
			for (const { values, histogram } of all.values())
				tellHistogram(metric, pairs(metric, values), histogram, line);
		let late = false;
		const tell: ReportMetric = (metric, value, ...values) => {
			if (!late) line(metric, "", pairs(metric, values), value);
		};
		await withTimeout(
			Promise.allSettled([...also, ...this.#collectors].map(async (collect) => collect(tell))),
			ms,
		);
		late = true;
		return [...told]
			.map(
				([{ name, type, help }, lines]) =>
					`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`,
			)
			.join("");
	}
}

function member<T>(
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

/** In JSON a text has the escapes that Prometheus wants, \" \\ and \n, as long as it holds no other control characters. */
const pairs = ({ labels = [] }: Metric, values: readonly string[]): string =>
	labels.map((label, i) => `${label}=${JSON.stringify(values[i] ?? "")}`).join(",");

function tellHistogram(
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

const all = new WeakMap<object, Metrics>();
/** What a broker's node counts. */
export function metricsOf(broker: object): Metrics {
	const metrics = all.get(broker) ?? new Metrics();
	all.set(broker, metrics);
	return metrics;
}
