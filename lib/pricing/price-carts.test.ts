import { beforeEach, expect, test } from "@jest/globals";
import { type CartToPrice, priceCarts } from "./price-carts.ts";
import { type CartToQuote, type CartToTax, type DeliveryMethod, weightOf } from "./sources.ts";

const vat = { name: "VAT", rate: 0.1 };
const cart = (overrides: Partial<CartToPrice> = {}): CartToPrice => ({
	currency: "EUR",
	lines: [
		{ product_id: "tea", quantity: 2, unit_price: 5, category: "Drinks", weight: 100 },
		{ product_id: "cup", quantity: 1, unit_price: 1.5, category: null, weight: 0 },
	],
	user_id: null,
	email: null,
	coupon_codes: [],
	country: "DE",
	region: "BE",
	shipping_method: null,
	...overrides,
});

let enabled: { tax: boolean; shipping: boolean };
let methods: DeliveryMethod[];
let quoted: CartToQuote[][];
let taxed: CartToTax[][];
beforeEach(() => {
	enabled = { tax: true, shipping: true };
	methods = [
		{ code: "standard", name: "Standard", price: 4 },
		{ code: "express", name: "Express", price: 9 },
	];
	[quoted, taxed] = [[], []];
});
const sources = {
	rounding: "line" as const,
	automatic: async () => [],
	resolve: async (codes: string[]) => codes.map(() => null),
	usage: async () => [],
	haveOrdered: async () => [],
	taxStatus: async () => ({ enabled: enabled.tax }),
	async calculateTax(carts: CartToTax[]) {
		taxed.push(carts);
		return carts.map(({ lines }) => ({
			prices_include_tax: false,
			lines: lines.map(() => vat),
			shipping: vat,
		}));
	},
	shippingStatus: async () => ({ enabled: enabled.shipping }),
	async quoteShipping(carts: CartToQuote[]) {
		quoted.push(carts);
		return carts.map(() => methods);
	},
};
const price = async (...carts: CartToPrice[]) =>
	(await priceCarts(sources, carts)).map(({ priced, problems }) => ({
		method: priced.shipping_method?.code ?? null,
		total: priced.total_amount,
		problems: problems.map(({ code }) => code),
	}));

test("prices all carts with one call of each source", async () => {
	expect(await price(cart(), cart({ shipping_method: "express" }))).toEqual([
		{ method: "standard", total: 1705, problems: [] },
		{ method: "express", total: 2255, problems: [] },
	]);
	expect(quoted).toHaveLength(1);
	expect(quoted[0]![0]).toEqual({ currency: "EUR", country: "DE", subtotal: 11.5, weight: 200 });
	expect(taxed).toHaveLength(1);
	expect(taxed[0]![1]).toEqual({
		currency: "EUR",
		country: "DE",
		region: "BE",
		lines: [
			{ product_id: "tea", category: "Drinks", amount: 10 },
			{ product_id: "cup", category: null, amount: 1.5 },
		],
		shipping: 9,
	});
});

test("without tax and shipping methods, the total is the sum of the lines", async () => {
	enabled = { tax: false, shipping: false };
	expect(await price(cart())).toEqual([{ method: null, total: 1150, problems: [] }]);
	expect([quoted, taxed]).toEqual([[], []]);
});

test("reports a method that does not deliver, and prices the cart without shipping", async () => {
	const unavailable = { method: null, total: 1265, problems: ["METHOD_UNAVAILABLE"] };
	expect(await price(cart({ shipping_method: "pigeon" }))).toEqual([unavailable]);
	methods = [];
	expect(await price(cart())).toEqual([{ ...unavailable, problems: ["UNDELIVERABLE"] }]);
	enabled.shipping = false;
	expect(await price(cart({ shipping_method: "express" }))).toEqual([unavailable]);
});

test("reports coupons in addition", async () => {
	methods = [];
	const [result] = await priceCarts(sources, [cart({ coupon_codes: ["none"] })]);
	expect(result!.problems).toEqual([
		{ code: "COUPON_UNKNOWN", coupon_code: "none" },
		{ code: "UNDELIVERABLE" },
	]);
});

test("the weight of a product is its attribute in grams", () => {
	expect([{ weight: 250 }, { weight: "250" }, { weight: -1 }, {}].map(weightOf)).toEqual([
		250, 0, 0, 0,
	]);
	expect(weightOf()).toBe(0);
	// The sum of a cart is finite.
	expect(weightOf({ weight: 1e308 }) * 1e6).toBeLessThan(Number.MAX_SAFE_INTEGER);
});
