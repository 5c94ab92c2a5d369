import { describe, expect, test } from "@jest/globals";
import { priceCart } from "./price-cart.ts";
import { NO_TAX, type PricingInput, type PromotionEffect, subtotalOf } from "./pricing.ts";

const vat = { name: "VAT", rate: 0.19 };
const line = { product_id: "a", quantity: 3, unit_price: 999, category: null };
const promotion = {
	...{ id: "p", name: "Summer", code: "SUMMER", priority: 0, combinable: true, conditions: {} },
	effect: { type: "percent_off", value: 10 } as PromotionEffect,
};
const cart: PricingInput = {
	currency: "EUR",
	lines: [line],
	promotions: [promotion],
	customer: { user_id: null, has_ordered: false },
	shipping: { code: "express", name: "Express", price: 490 },
	tax: { prices_include_tax: true, lines: [vat], shipping: vat },
	rounding: "line",
};
const isDeepFrozen = (value: unknown): boolean =>
	typeof value !== "object" ||
	value === null ||
	(Object.isFrozen(value) && Object.values(value).every(isDeepFrozen));

test("prices lines, adjustments, shipping and taxes", () => {
	expect(priceCart(cart)).toEqual({
		currency: "EUR",
		prices_include_tax: true,
		lines: [
			{
				product_id: "a",
				quantity: 3,
				unit_price: 999,
				subtotal: 2997,
				discount: 300,
				tax: 431,
				total: 2697,
				tax_rate: vat,
			},
		],
		adjustments: [{ promotion_id: "p", name: "Summer", code: "SUMMER", amount: 300 }],
		shipping_method: { code: "express", name: "Express" },
		shipping_amount: 490,
		shipping_discount: 0,
		shipping_tax: 78,
		shipping_tax_rate: vat,
		taxes: [{ ...vat, amount: 509 }],
		subtotal: 2997,
		discount_amount: 300,
		tax_amount: 509,
		total_amount: 3187,
	});
});

test("freezes the result at every depth, and neither changes nor freezes the input", () => {
	const before = structuredClone(cart);
	expect(isDeepFrozen(priceCart(cart))).toBe(true);
	expect(isDeepFrozen(priceCart({ ...cart, promotions: [], shipping: null }))).toBe(true);
	expect(cart).toEqual(before);
	expect([cart, cart.lines, line, promotion, cart.tax, vat].some(Object.isFrozen)).toBe(false);
});

test("an empty cart costs nothing", () => {
	const empty = priceCart({ ...cart, lines: [], shipping: null, tax: NO_TAX(0) });
	expect(empty).toMatchObject({ lines: [], adjustments: [], taxes: [], total_amount: 0 });
});

test("without a shipping method there is neither a price nor a tax rate of shipping", () => {
	expect(priceCart({ ...cart, shipping: null })).toMatchObject({
		shipping_method: null,
		shipping_amount: 0,
		shipping_tax_rate: null,
	});
});

test("the same promotion applies once", () => {
	const once = priceCart(cart);
	expect(priceCart({ ...cart, promotions: [promotion, promotion] })).toEqual(once);
});

test("taxes with the same name and rate are added, by descending rate and then by name", () => {
	const rates = [
		{ name: "B", rate: 0.07 },
		{ name: "A", rate: 0.07 },
		{ name: "VAT", rate: 0.19 },
		{ name: "B", rate: 0.07 },
	];
	const lines = rates.map((_, i) => ({
		...line,
		product_id: `${i}`,
		quantity: 1,
		unit_price: 107,
	}));
	const tax = { prices_include_tax: true, lines: rates, shipping: null };
	const { taxes } = priceCart({ ...cart, lines, tax, promotions: [], shipping: null });
	expect(taxes.map(({ name, amount }) => [name, amount])).toEqual([
		["VAT", 17],
		["A", 7],
		["B", 14],
	]);
});

test("a rate of a free line or of free shipping is not listed as a tax", () => {
	const free = { ...promotion, effect: { type: "percent_off", value: 100 } as const };
	const { taxes, lines } = priceCart({ ...cart, promotions: [free], shipping: null });
	expect(taxes).toEqual([]);
	expect(lines[0]!.tax_rate).toEqual(vat);
});

describe("rejects", () => {
	const withEffect = (effect: PromotionEffect) => ({ promotions: [{ ...promotion, effect }] });
	test.each<[string, Partial<PricingInput>]>([
		["a fraction of a minor unit", { lines: [{ ...line, unit_price: 9.99 }] }],
		["a negative price", { lines: [{ ...line, unit_price: -1 }] }],
		["a quantity of zero", { lines: [{ ...line, quantity: 0 }] }],
		["a fraction of a piece", { lines: [{ ...line, quantity: 1.5 }] }],
		["a sum that exceeds the maximum", { lines: [{ ...line, unit_price: 2 ** 51 }] }],
		["a negative shipping price", { shipping: { code: "s", name: "S", price: -1 } }],
		["a missing tax rate", { tax: NO_TAX(0) }],
		["a rate above 1", { tax: { ...cart.tax, shipping: { name: "VAT", rate: 19 } } }],
		[
			"a rate that is not a number",
			{ tax: { ...cart.tax, lines: [{ ...vat, rate: Number.NaN }] } },
		],
		["more than 100 percent", withEffect({ type: "percent_off", value: 101 })],
		["a negative amount", withEffect({ type: "amount_off", value: -1 })],
		["groups without pieces", withEffect({ type: "buy_x_get_y", buy: 0, get: 0 })],
		["a limit with a fraction", { promotions: [{ ...promotion, max_discount: 0.5 }] }],
	])("%s", (_, change) => {
		expect(() => priceCart({ ...cart, ...change })).toThrow(RangeError);
	});
});

test("a negative limit, of a budget that is exceeded, allows no discount", () => {
	const { adjustments } = priceCart({ ...cart, promotions: [{ ...promotion, max_discount: -5 }] });
	expect(adjustments).toEqual([]);
});

test("subtotalOf adds up prices before discounts", () => {
	expect(subtotalOf([line, { quantity: 2, unit_price: 1 }])).toBe(2999);
});
