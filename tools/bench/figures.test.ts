import { expect, test } from "@jest/globals";
import { median, medians, percentile, slope } from "./figures.ts";

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test("percentiles use the nearest rank", () => {
	expect([0.5, 0.95, 0.99, 1].map((share) => percentile(upTo(100), share))).toEqual([
		50, 95, 99, 100,
	]);
	expect([0.5, 0.95, 0.99, 1].map((share) => percentile(upTo(1000), share))).toEqual([
		500, 950, 990, 1000,
	]);
});

test("percentiles of a small sample use the nearest rank", () => {
	expect([0, 0.5, 0.95, 0.99, 1].map((share) => percentile([7], share))).toEqual([7, 7, 7, 7, 7]);
	expect([0.5, 0.51, 0.99].map((share) => percentile([1, 9], share))).toEqual([1, 9, 9]);
	expect(percentile(Float64Array.of(1, 2, 3), 0.5)).toBe(2);
	expect(percentile([], 0.5)).toBeNaN();
});

test("percentiles do not slip to the next rank through floating-point error", () => {
	// 0.07 * 100 is 7.000000000000001.
	expect(percentile(upTo(100), 0.07)).toBe(7);
	for (const rank of upTo(100)) expect(percentile(upTo(100), rank / 100)).toBe(rank);
});

test("the median is the middle value or the mean of the two middle values", () => {
	expect(median([3, 1, 2])).toBe(2);
	expect(median([4, 1, 10, 2])).toBe(3);
	expect(median([5])).toBe(5);
	expect(median([])).toBeNaN();
	const rounds = [10, 9, 100];
	median(rounds);
	expect(rounds).toEqual([10, 9, 100]);
});

test("each figure has its own median, so that one bad round affects none of them", () => {
	const rounds = [
		{ target: "shop", rate: 100, cpu: { node: 1, postgres: 5 } },
		{ target: "shop", rate: 2, cpu: { node: 90, postgres: 4 } },
		{ target: "shop", rate: 110, cpu: { node: 2, postgres: 60 } },
	];
	expect(medians(rounds)).toEqual({ target: "shop", rate: 100, cpu: { node: 2, postgres: 5 } });
});

test("slope fits a least-squares line", () => {
	expect(slope([0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x })))).toBeCloseTo(2);
	expect(slope([{ x: 1, y: 7 }])).toBe(0);
	// A spike in the middle does not count as growth.
	expect(slope([1, 1, 9, 1, 1].map((y, x) => ({ x, y })))).toBeCloseTo(0);
});
