import { expect, test } from "@jest/globals";
import { type Metric, Metrics } from "./registry.ts";

const sold: Metric = {
	name: "sold_total",
	type: "counter",
	help: "Items sold",
	labels: ["item", "place"],
};
const took: Metric = {
	name: "took_seconds",
	type: "histogram",
	help: "Duration",
	labels: ["item"],
	buckets: [0.1, 1],
};
const plain: Metric = {
	name: "plain_seconds",
	type: "histogram",
	help: "Without labels",
	buckets: [1],
};
const left: Metric = { name: "left", type: "gauge", help: "Items left" };

test("counters are exposed from their creation, with their labels in order", async () => {
	const metrics = new Metrics();
	metrics.counter(sold, "tea", "here").add();
	metrics.counter(sold, "tea", "here").add(2.5);
	metrics.counter(sold, "tea", "there");
	expect(await metrics.text()).toBe(
		"# HELP sold_total Items sold\n# TYPE sold_total counter\n" +
			'sold_total{item="tea",place="here"} 3.5\nsold_total{item="tea",place="there"} 0\n',
	);
});

test("a bucket counts all observations up to its bound", async () => {
	const metrics = new Metrics();
	for (const seconds of [0.05, 0.1, 0.5, 7]) metrics.histogram(took, "tea").observe(seconds);
	metrics.histogram(plain).observe(1);
	const lines = (await metrics.text()).split("\n").filter((line) => line && !line.startsWith("#"));
	expect(lines).toEqual([
		'took_seconds_bucket{item="tea",le="0.1"} 2',
		'took_seconds_bucket{item="tea",le="1"} 3',
		'took_seconds_bucket{item="tea",le="+Inf"} 4',
		'took_seconds_sum{item="tea"} 7.65',
		'took_seconds_count{item="tea"} 4',
		'plain_seconds_bucket{le="1"} 1',
		'plain_seconds_bucket{le="+Inf"} 1',
		"plain_seconds_sum 1",
		"plain_seconds_count 1",
	]);
});

test("quotes, backslashes and line breaks in labels are escaped", async () => {
	const metrics = new Metrics();
	metrics.counter(sold, 'a "b"', "c\\d\ne").add();
	expect(await metrics.text()).toContain('sold_total{item="a \\"b\\"",place="c\\\\d\\ne"} 1\n');
});

test("a failed or late collector is omitted and the others are exposed", async () => {
	const metrics = new Metrics();
	let finishLate: () => void = () => undefined;
	metrics.collect(() => Promise.reject(new Error("gone")));
	metrics.collect(async (report) => {
		await new Promise<void>((resolve) => {
			finishLate = resolve;
		});
		report(left, 9);
	});
	const remove = metrics.collect((report) => report(left, 3));
	expect(await metrics.text([], 20)).toBe("# HELP left Items left\n# TYPE left gauge\nleft 3\n");
	finishLate();
	remove();
	expect(await metrics.text([], 20)).toBe("");
});
