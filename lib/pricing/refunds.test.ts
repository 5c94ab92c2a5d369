import { expect, test } from "@jest/globals";
import { refundOf, shippingRefund } from "./refunds.ts";

const line = { quantity: 3, total: 1000, tax: 160 };

test.each([
	[1, 0, 333, 53],
	[1, 1, 334, 54],
	[1, 2, 333, 53],
	[2, 0, 667, 107],
	[2, 1, 667, 107],
	[3, 0, 1000, 160],
	[0, 2, 0, 0],
])("%d pieces after %d of a line of 3 refund %d with %d of tax", (pieces, before, amount, tax) => {
	expect(refundOf(line, pieces, before)).toEqual({ amount, tax });
});

test("the tax never exceeds the refunded amount", () => {
	const small = { quantity: 4, total: 2, tax: 1 };
	expect([0, 1, 2, 3].map((refunded) => refundOf(small, 1, refunded))).toEqual([
		{ amount: 1, tax: 1 },
		{ amount: 0, tax: 0 },
		{ amount: 1, tax: 0 },
		{ amount: 0, tax: 0 },
	]);
});

test("a free line refunds nothing", () => {
	expect(refundOf({ quantity: 2, total: 0, tax: 0 }, 2, 0)).toEqual({ amount: 0, tax: 0 });
});

test.each([
	[4, 0],
	[1, 3],
	[-1, 2],
	[1, -1],
	[0.5, 0],
])("rejects a refund of %d pieces after %d of 3", (pieces, refunded) => {
	expect(() => refundOf(line, pieces, refunded)).toThrow(RangeError);
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
