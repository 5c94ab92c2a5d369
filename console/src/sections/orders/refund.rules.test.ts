import { describe, expect, test } from "@jest/globals";
import { halfOf, remainingPieces } from "./refund.rules.ts";

describe("pieces of a refund", () => {
	test("remain unless a refund that has not failed contains them", () => {
		const items = [
			{ product_id: "a", quantity: 3 },
			{ product_id: "b", quantity: 1 },
		];
		const refund = (status: string, quantity: number) => ({
			status,
			items: [{ product_id: "a", quantity }],
		});
		const refunds = [refund("done", 1), refund("requested", 1), refund("failed", 1)];
		expect(remainingPieces({ items, refunds })).toEqual({ a: 1, b: 1 });
	});

	test.each([
		[{ a: 2 }, { a: 1 }],
		[{ a: 3 }, { a: 1 }],
		[
			{ a: 1, b: 1 },
			{ a: 0, b: 1 },
		],
		[
			{ a: 1, b: 2, c: 1 },
			{ a: 0, b: 1, c: 1 },
		],
		[
			{ a: 1, b: 1, c: 1, d: 1 },
			{ a: 0, b: 1, c: 0, d: 1 },
		],
		[{ a: 0 }, { a: 0 }],
	])("half of %j is %j", (pieces: Record<string, number>, half: Record<string, number>) => {
		expect(halfOf(pieces)).toEqual(half);
	});
});
