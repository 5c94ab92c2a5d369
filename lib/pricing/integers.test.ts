import { ok, strictEqual } from "node:assert";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { allocate, isAmount, shareOf, sumOf } from "./integers.ts";

// Assertions of Node in properties: `expect` takes longer than the function under test.
const RUNS = { seed: 1, numRuns: 2000 };
const MAX = 2 ** 52;
const amount = fc.oneof(
	fc.nat(100),
	fc.nat(1_000_000),
	fc.maxSafeNat().map((n) => n % MAX),
);
const byPosition = (a: number, b: number) => a - b;

test("an amount is a non-negative safe integer", () => {
	expect([0, 1, 2 ** 53 - 1].every(isAmount)).toBe(true);
	expect([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY].some(isAmount)).toBe(false);
});

describe("shareOf", () => {
	test.each([
		[1, 1, 2, 1],
		[1, 1, 3, 0],
		[2, 1, 3, 1],
		[5, 190_000, 1_190_000, 1],
		[MAX, 1, 2, MAX / 2],
		[MAX - 1, 1, 2, MAX / 2],
		[MAX - 1, 999_999, 1_000_000, 4_503_595_123_770_868],
	])("%d × %d / %d, rounded half up, is %d", (a, b, divisor, result) => {
		expect(shareOf(a, b, divisor)).toBe(result);
	});

	test("is exact for products of any size", () => {
		const property = fc.property(
			amount,
			amount,
			fc.integer({ min: 1, max: MAX }),
			(a, b, extra) => {
				const divisor = Math.min(b + extra, MAX);
				const exact = BigInt(a) * BigInt(b) * 2n;
				const error = exact - 2n * BigInt(shareOf(a, b, divisor)) * BigInt(divisor);
				ok(error < BigInt(divisor) && error >= -BigInt(divisor));
			},
		);
		fc.assert(property, RUNS);
	});
});

describe("allocate", () => {
	test.each([
		[100, [1, 1, 1], [34, 33, 33]],
		[5, [1, 3, 2], [1, 2, 2]],
		[1, [2, 1], [1, 0]],
		[3, [0, 3, 0], [0, 3, 0]],
		[7, [], []],
		[0, [1, 2], [0, 0]],
		[0, [0, 0], [0, 0]],
	])("divides %d by %j to %j", (total, weights, parts) => {
		expect(allocate(total, weights, byPosition)).toEqual(parts);
	});

	test("gives the units that remain to the parts with the largest remainders", () => {
		const property = fc.property(
			fc.array(amount, { minLength: 1, maxLength: 8 }),
			amount,
			(all, x) => {
				const weights = all.map((weight) => Math.floor(weight / 8));
				const sum = sumOf(weights);
				fc.pre(sum > 0);
				const total = x % (sum + 1);
				const parts = allocate(total, weights, byPosition);
				strictEqual(sumOf(parts), total);
				const remainders = parts.map((part, i) => {
					ok(part <= weights[i]!);
					return BigInt(total) * BigInt(weights[i]!) - BigInt(part) * BigInt(sum);
				});
				// A part that is rounded up has a remainder at least as large as one that is rounded down.
				const up = remainders.filter((rest) => rest < 0n).map((rest) => rest + BigInt(sum));
				const down = remainders.filter((rest) => rest >= 0n);
				for (const rest of up) ok(down.every((other) => other <= rest));
			},
		);
		fc.assert(property, RUNS);
	});
});
