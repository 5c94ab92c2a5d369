import { expect, test } from "@jest/globals";
import { medians } from "./figures.ts";
import type { Figures } from "./measure.ts";
import { formatComparison, formatRow, formatScenarioComparison } from "./report.ts";
import type { Row } from "./rounds.ts";

/** A row with one round per element: the rate, which is also the latency, and the CPU time. */
function row(target: string, scenario: string, all: readonly [number, number][]): Row {
	const rounds = all.map(([rate, node]): Figures => {
		const latencies = { p50: rate, p95: rate, p99: rate, max: rate };
		const work = { operations: 1, statements: 1, commits: 1, generator: 1, rss: { node: 1 } };
		return { rate, ...latencies, ...work, cpu: { node } };
	});
	const load = { buyers: 16, offered: null };
	return { target, scenario, ...load, median: medians(rounds), rounds, errors: {} };
}

/** The machine is twice as slow in the second round, and four times in the third. */
const ORDERS = row("shop", "order", [
	[800, 1],
	[400, 2],
	[200, 4],
]);
const CHECKOUTS = row("shop", "checkout", [
	[400, 1.5],
	[300, 2.5],
	[100, 8],
]);

test("a comparison of revisions has medians of ratios, and the ratio of the mean CPU times", () => {
	const before = row("main~1", "order", [
		[1600, 0.5],
		[600, 1],
		[100, 8],
	]);
	const other = { ...before, buyers: 64 };
	expect(formatComparison([ORDERS, other, before], "shop", "main~1")).toEqual([
		expect.stringMatching(
			/^order +16 buyers +rate 0\.67x .*CPU 0\.74x \(0\.50x to 2\.00x; 3\.167 -> 2\.333 ms\)/,
		),
	]);
	expect(formatComparison([ORDERS, other], "shop", "main~1")).toEqual([]);
});

test("a comparison with another scenario is that of the same target and load", () => {
	const rows = [
		...[ORDERS, CHECKOUTS].map((row) => ({ ...row, target: "floor", buyers: 1 })),
		{ ...ORDERS, buyers: 64 },
		CHECKOUTS,
		ORDERS,
	];
	expect(formatScenarioComparison(rows, "order")).toEqual([
		expect.stringMatching(/^floor +checkout +1 buyers/),
		expect.stringMatching(
			/^shop +checkout +16 buyers +rate 0\.50x .*CPU 1\.71x \(1\.25x to 2\.00x; 2\.333 -> 4\.000 ms\)/,
		),
	]);
});

test("a row has its ratio to the floor, and that of the floor none", () => {
	const floor = { ...CHECKOUTS, target: "floor", scenario: "order" };
	const [first] = formatRow(ORDERS, [ORDERS, floor]).split("\n");
	expect(first).toMatch(/ 2\.00x +0\.58x$/);
	expect(formatRow(floor, [ORDERS, floor]).split("\n")[0]).toMatch(/ 1 +$/);
});

test("wide values remain separate columns", () => {
	const slow = row("shop", "order", [[12_345_678, 100_000]]);
	const floor = row("floor", "order", [[1, 1]]);
	const [first] = formatRow(slow, [slow, floor]).split("\n");
	expect(first).toMatch(/ 12345678 12345678\.00 .* 12345678\.00x 100000\.00x$/);
});
