import { expect, test } from "@jest/globals";
import { type Metric, Metrics } from "./registry.ts";

const sold: Metric = {
	name: "sold_total",
	type: "counter",
	help: "What was sold",
	labels: ["what", "where"],
};
const took: Metric = {
	name: "took_seconds",
	type: "histogram",
	help: "How long it took",
	labels: ["what"],
	buckets: [0.1, 1],
};
const plain: Metric = {
	name: "plain_seconds",
	type: "histogram",
	help: "Without labels",
	buckets: [1],
};
const left: Metric = { name: "left", type: "gauge", help: "What is left" };

test("counters are told from when they are known, each once, with their labels in order", async () => {
	const metrics = new Metrics();
	metrics.counter(sold, "tea", "here").add();
	metrics.counter(sold, "tea", "here").add(2.5);
	metrics.counter(sold, "tea", "there");
	expect(await metrics.text()).toBe(
		'# HELP sold_total What was sold\n# TYPE sold_total counter\nsold_total{what="tea",where="here"} 3.5\nsold_total{what="tea",where="there"} 0\n',
	);
});

test("a histogram's buckets hold all that is not above them", async () => {
	const metrics = new Metrics();
	for (const seconds of [0.05, 0.1, 0.5, 7]) metrics.histogram(took, "tea").observe(seconds);
	metrics.histogram(plain).observe(1);
	const lines = (await metrics.text()).split("\n").filter((line) => line && !line.startsWith("#"));
	expect(lines).toEqual([
		'took_seconds_bucket{what="tea",le="0.1"} 2',
		'took_seconds_bucket{what="tea",le="1"} 3',
		'took_seconds_bucket{what="tea",le="+Inf"} 4',
		'took_seconds_sum{what="tea"} 7.65',
		'took_seconds_count{what="tea"} 4',
		'plain_seconds_bucket{le="1"} 1',
		'plain_seconds_bucket{le="+Inf"} 1',
		"plain_seconds_sum 1",
		"plain_seconds_count 1",
	]);
});

test("quotes, backslashes and line breaks of a label are escaped as Prometheus reads them", async () => {
	const metrics = new Metrics();
	metrics.counter(sold, 'a "b"', "c\\d\ne").add();
	expect(await metrics.text()).toContain('sold_total{what="a \\"b\\"",where="c\\\\d\\ne"} 1\n');
});

test("who cannot tell, or not in time, is left out, and the others are told", async () => {
	const metrics = new Metrics();
	let late: () => void = () => undefined;
	metrics.collect(() => Promise.reject(new Error("gone")));
	metrics.collect(async (tell) => {
		await new Promise<void>((resolve) => {
			late = resolve;
		});
		tell(left, 9);
	});
	const end = metrics.collect((tell) => tell(left, 3));
	expect(await metrics.text([], 20)).toBe("# HELP left What is left\n# TYPE left gauge\nleft 3\n");
	late();
	end();
	expect(await metrics.text([], 20)).toBe("");
});
