import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { toMinorUnits } from "../../lib/money/currency.ts";
import type { StoredPrices } from "./orders.prices.rules.ts";
import { type PlannedRefund, planRefund } from "./orders.refunds.rules.ts";

/** Refunds after which no more refunds of an order fail. */
const MAX_FAILURES = 10;
const prices: StoredPrices = {
	email: null,
	prices_include_tax: false,
	adjustments: [],
	shipping_method: null,
	shipping_amount: 5,
	shipping_discount: 1,
	shipping_tax: 0.76,
	shipping_tax_rate: null,
	taxes: [],
	subtotal: 0,
	discount_amount: 0,
	tax_amount: 0,
	shipping_address: null,
	billing_address: null,
	coupon_codes: [],
};
const line = (product_id: string, quantity: number, total: number, tax: number) => ({
	product_id,
	name: product_id,
	quantity,
	unit_price: 1,
	line_total: total,
	total,
	tax,
});

test("refunds in any parts and any order add up to the total, also if some have failed", () => {
	const lines = fc.array(
		fc.record({
			quantity: fc.integer({ min: 1, max: 7 }),
			total: fc.integer({ min: 0, max: 5000 }),
			tax: fc.double({ min: 0, max: 1, noNaN: true }),
		}),
		{ minLength: 1, maxLength: 4 },
	);
	const currency = "EUR";
	fc.assert(
		fc.property(lines, fc.infiniteStream(fc.nat(100)), (specs, random) => {
			const items = specs.map(({ quantity, total, tax }, i) =>
				line(`p${i}`, quantity, total / 100, Math.round(total * tax) / 100),
			);
			const order = { status: "delivered" as const, currency, items, priced: prices };
			const left = new Map(items.map((item) => [item.product_id, item.quantity]));
			const refunds: PlannedRefund[] = [];
			const next = () => random.next().value as number;
			const addPieces = (product_id: string, pieces: number) => {
				const sum = (left.get(product_id) ?? 0) + pieces;
				if (sum > 0) left.set(product_id, sum);
				else left.delete(product_id);
			};
			for (let step = 0; left.size > 0; step++) {
				const [product_id, pieces] = [...left][next() % left.size]!;
				const quantity = 1 + (next() % pieces);
				refunds.push(planRefund(order, refunds, { items: [{ product_id, quantity }] }));
				addPieces(product_id, -quantity);
				if (step > MAX_FAILURES || next() % 3 > 0) continue;
				const [failed] = refunds.splice(next() % refunds.length, 1);
				for (const item of failed!.items) addPieces(item.product_id, item.quantity);
			}
			refunds.push(planRefund(order, refunds, { items: [], shipping: true }));
			const sum = (values: number[]) =>
				values.reduce((total, value) => total + toMinorUnits(value, currency), 0);
			expect(sum(refunds.map(({ amount }) => amount))).toBe(
				sum([...items.map(({ total }) => total), 4.76]),
			);
			expect(sum(refunds.map(({ tax_amount }) => tax_amount))).toBe(
				sum([...items.map(({ tax }) => tax), 0.76]),
			);
		}),
	);
});

test("the repetition of a failed refund pays what is missing", () => {
	const order = {
		status: "delivered" as const,
		currency: "EUR",
		items: [line("a", 3, 10, 1.6)],
		priced: prices,
	};
	const items = [{ product_id: "a", quantity: 1 }];
	const first = planRefund(order, [], { items });
	const second = planRefund(order, [first], { items });
	expect([first.amount, second.amount]).toEqual([3.33, 3.34]);
	const repeated = planRefund(order, [second], { items });
	expect(repeated).toMatchObject({ amount: 3.33, tax_amount: 0.53 });
	expect(planRefund(order, [second, repeated], { items })).toMatchObject({
		amount: 3.33,
		tax_amount: 0.53,
	});
});

test("free shipping and an order without a shipping price have none to refund", () => {
	const order = { status: "confirmed" as const, currency: "EUR", items: [line("a", 1, 5, 0)] };
	const request = { items: [], shipping: true };
	for (const priced of [null, { ...prices, shipping_discount: 5, shipping_tax: 0 }])
		expect(() => planRefund({ ...order, priced }, [], request)).toThrow("exceeds");
});

test("pieces of one product in several items are counted together", () => {
	const order = { status: "confirmed" as const, currency: "EUR", priced: null };
	const items = [
		{ product_id: "a", quantity: 1 },
		{ product_id: "a", quantity: 1 },
	];
	const plan = (quantity: number) =>
		planRefund({ ...order, items: [line("a", quantity, 5, 0)] }, [], { items });
	expect(plan(2)).toMatchObject({ amount: 5, items: [{ quantity: 2 }] });
	expect(() => plan(1)).toThrow("exceeds");
});
