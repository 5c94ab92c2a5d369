import { expect, test } from "@jest/globals";
import { refundOf, shippingRefund, taxIn } from "./refunds.ts";

const line = { quantity: 3, total: 1000, tax: 160 };

test.each([
	[1, 0, 0, 333],
	[1, 1, 333, 334],
	[1, 2, 667, 333],
	[2, 0, 0, 667],
	[2, 1, 333, 667],
	[3, 0, 0, 1000],
	[0, 2, 667, 0],
	// The first refund has failed.
	[1, 1, 334, 333],
	[1, 2, 666, 334],
])("%d pieces after %d for %d, of a line of 3, refund %d", (count, pieces, before, amount) => {
	expect(refundOf(line, count, { pieces, amount: before })).toBe(amount);
});

test("a refund is never negative, whichever refunds have failed", () => {
	const small = { quantity: 8, total: 2 };
	expect(refundOf(small, 1, { pieces: 2, amount: 2 })).toBe(0);
	expect(refundOf(small, 5, { pieces: 3, amount: 2 })).toBe(0);
});

test("the tax never exceeds the refunded amount", () => {
	const small = { total: 2, tax: 1 };
	expect([0, 1, 2].map((amount) => taxIn(small, amount))).toEqual([0, 1, 1]);
	expect(taxIn(line, 333)).toBe(53);
	expect(taxIn(line, 667)).toBe(107);
});

test("a free line refunds nothing", () => {
	const free = { quantity: 2, total: 0, tax: 0 };
	expect(refundOf(free, 2, { pieces: 0, amount: 0 })).toBe(0);
	expect(taxIn(free, 0)).toBe(0);
});

test.each([
	[4, 0],
	[1, 3],
	[-1, 2],
	[1, -1],
	[0.5, 0],
])("rejects a refund of %d pieces after %d of 3", (count, pieces) => {
	expect(() => refundOf(line, count, { pieces, amount: 0 })).toThrow(RangeError);
});

test("the refund of shipping is its charged amount, including tax", () => {
	const shipping = { shipping_amount: 490, shipping_discount: 100, shipping_tax: 74 };
	expect(shippingRefund({ ...shipping, prices_include_tax: true })).toEqual({
		amount: 390,
		tax: 74,
	});
	expect(shippingRefund({ ...shipping, prices_include_tax: false })).toEqual({
		amount: 464,
		tax: 74,
	});
});
