import { describe, expect, test } from "@jest/globals";
import { canRefund, canRefundShipping, halfOf, remainingPieces } from "./refund.rules.ts";

describe("shipping costs", () => {
	const order = { items: [{ product_id: "a", quantity: 1 }], shipping_amount: 5 };
	const refund = (status: string, shipping_amount: number) => ({
		status,
		items: order.items,
		shipping_amount,
	});

	test.each([
		["before a refund", [], true, true],
		["after a refund of the pieces", [refund("done", 0)], true, true],
		["after a refund of everything", [refund("requested", 5)], false, false],
		["after a failed refund", [refund("failed", 5)], true, true],
	])("can be refunded %s: %j", (_, refunds, ofShipping, ofOrder) => {
		expect(canRefundShipping({ ...order, refunds })).toBe(ofShipping);
		expect(canRefund({ ...order, refunds })).toBe(ofOrder);
	});

	test("of zero cannot be refunded", () => {
		expect(canRefund({ ...order, shipping_amount: 0, refunds: [refund("done", 0)] })).toBe(false);
	});
});

describe("pieces of a refund", () => {
	test("remain unless a refund that has not failed contains them", () => {
		const items = [
			{ product_id: "a", quantity: 3 },
			{ product_id: "b", quantity: 1 },
		];
		const refund = (status: string, quantity: number) => ({
			status,
			items: [{ product_id: "a", quantity }],
			shipping_amount: 0,
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
