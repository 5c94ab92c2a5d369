import { describe, expect, test } from "@jest/globals";
import { assertMethod, type Method, newMethod, quoteCart } from "./shipping.methods.rules.ts";

const methodOf = (over: Partial<Method> = {}): Method => ({
	...newMethod({ code: "standard", name: "Standard", currency: "EUR", price: 4.9, position: 0 }),
	...over,
});
const cartOf = (over: { subtotal?: number; weight?: number; country?: string | null } = {}) => ({
	currency: "EUR",
	country: null,
	subtotal: 20,
	weight: 0,
	...over,
});

test("a new method delivers everywhere, at its price", () => {
	expect(methodOf()).toEqual({
		code: "standard",
		name: "Standard",
		countries: ["*"],
		currency: "EUR",
		price: 4.9,
		free_from: null,
		tiers: [],
		position: 0,
	});
});

test.each([
	["currency", { currency: "ABC" }, "CURRENCY"],
	["price", { price: 4.999 }, "MONEY"],
	["price", { currency: "JPY", price: 0.5 }, "MONEY"],
	["free_from", { free_from: 49.999 }, "MONEY"],
	["countries[1]", { countries: ["DE", "XX"] }, "COUNTRY"],
	["countries[0]", { countries: ["UK"] }, "COUNTRY"],
	["countries[1]", { countries: ["DE", "*"] }, "COUNTRY"],
	["tiers[0]", { tiers: [{ price: 1 }] }, "LIMIT"],
	["tiers[0].price", { tiers: [{ up_to_weight: 1, price: 0.001 }] }, "MONEY"],
	[
		"tiers[1].up_to_subtotal",
		{
			tiers: [
				{ up_to_weight: 1, price: 1 },
				{ up_to_subtotal: 0.001, price: 1 },
			],
		},
		"MONEY",
	],
] as [string, Partial<Method>, string][])("rejects an invalid %s: %j", (field, over, code) => {
	expect(() => assertMethod(methodOf(over))).toThrow(
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			data: { errors: [expect.objectContaining({ field, code })] },
		}),
	);
});

test("accepts amounts with the decimals of the currency", () => {
	const tiers = [{ up_to_subtotal: 1, up_to_weight: 0.5, price: 0 }];
	assertMethod(methodOf({ tiers, free_from: 49.99 }));
	assertMethod(methodOf({ currency: "JPY", price: 500, free_from: 5000, tiers }));
	assertMethod(methodOf({ currency: "BHD", price: 1.125, countries: ["BH", "KW"] }));
});

describe("a quote", () => {
	const codes = (methods: Method[], over: Parameters<typeof cartOf>[0], shop = "DE") =>
		quoteCart(cartOf(over), methods, shop).map(({ code }) => code);

	test("contains the methods that deliver to the country, in their order", () => {
		const methods = [
			methodOf({ code: "germany", countries: ["DE"] }),
			methodOf({ code: "alps", countries: ["CH", "AT"] }),
			methodOf({ code: "world" }),
			methodOf({ code: "dollar", currency: "USD" }),
		];
		expect(codes(methods, { country: "DE" })).toEqual(["germany", "world"]);
		expect(codes(methods, { country: "AT" })).toEqual(["alps", "world"]);
		expect(codes(methods, { country: "FR" })).toEqual(["world"]);
		expect(codes(methods.slice(0, 2), { country: "FR" })).toEqual([]);
		expect(codes(methods, { country: null })).toEqual(["germany", "world"]);
		expect(codes(methods, { country: null }, "CH")).toEqual(["alps", "world"]);
	});

	const priceOf = (over: Partial<Method>, cart: Parameters<typeof cartOf>[0]) =>
		quoteCart(cartOf(cart), [methodOf(over)], "DE")[0]?.price;

	test("is free from an amount, whatever the tiers", () => {
		const method = { free_from: 50, tiers: [{ up_to_subtotal: 100, price: 3 }] };
		expect(priceOf(method, { subtotal: 49.99 })).toBe(3);
		expect(priceOf(method, { subtotal: 50 })).toBe(0);
		expect(priceOf({ free_from: 0 }, { subtotal: 0 })).toBe(0);
	});

	test("uses the first tier whose limits the cart does not exceed, and otherwise the price", () => {
		const tiers = [
			{ up_to_subtotal: 10, up_to_weight: 100, price: 1 },
			{ up_to_weight: 1000, price: 2 },
			{ up_to_subtotal: 30, price: 3 },
		];
		const price = (subtotal: number, weight: number) => priceOf({ tiers }, { subtotal, weight });
		expect(price(10, 100)).toBe(1);
		expect(price(10.01, 100)).toBe(2);
		expect(price(10, 101)).toBe(2);
		expect(price(500, 1000)).toBe(2);
		expect(price(30, 1001)).toBe(3);
		expect(price(30.01, 1001)).toBe(4.9);
	});
});
