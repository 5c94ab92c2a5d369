import { describe, expect, test } from "@jest/globals";
import { taxCart, toCountryRates, toTable } from "./tax.rules.ts";

interface Given {
	country?: string;
	region?: string | null;
	category?: string | null;
	name?: string;
	rate?: number;
}
const rate = (over: Given = {}) => ({ country: "DE", name: "VAT", rate: 0.19, ...over });
const tableOf = (...rates: Given[]) => toTable(rates.map(rate));

describe("a table", () => {
	test("has one rate per country, region and category, in any case", () => {
		const rates = [
			rate(),
			rate({ country: "FR" }),
			rate({ region: "Berlin" }),
			rate({ category: "Books" }),
			rate({ region: "Berlin", category: "Books" }),
			rate({ category: "Books/Novels" }),
		];
		expect(toTable(rates)).toMatchObject(rates);
		for (const [repeated, first] of [
			[{}, 0],
			[{ region: " BERLIN" }, 2],
			[{ category: "books" }, 3],
			[{ category: "BOOKS / Novels" }, 5],
		] as [Given, number][])
			expect(() => tableOf(...rates, repeated)).toThrow(
				expect.objectContaining({
					type: "DUPLICATE_RATE",
					data: expect.objectContaining({ country: "DE", positions: [first, 6] }),
				}),
			);
	});

	test.each([
		["country", { country: "XX" }, "COUNTRY"],
		["country", { country: "UK" }, "COUNTRY"],
		["rate", { rate: 0.1234567 }, "DECIMALS"],
		["category", { category: "Books//Novels" }, "CATEGORY"],
		["category", { category: "/" }, "CATEGORY"],
	] as [string, Given, string][])("rejects an invalid %s: %j", (field, over, code) => {
		expect(() => tableOf({}, over)).toThrow(
			expect.objectContaining({
				type: "VALIDATION_ERROR",
				data: { errors: [expect.objectContaining({ field: `rates[1].${field}`, code })] },
			}),
		);
	});

	test("accepts rates with six decimals", () => {
		for (const one of [0, 1, 0.1, 0.07, 0.088_75, 0.000_001, 0.999_999])
			expect(tableOf({ rate: one })[0]!.rate).toBe(one);
	});
});

describe("the rate of a line", () => {
	const rates = toCountryRates(
		tableOf(
			{ name: "all" },
			{ name: "books", category: "Books", rate: 0.07 },
			{ name: "novels", category: "Books/Novels", rate: 0.05 },
			{ name: "coast", region: "Coast", rate: 0.2 },
			{ name: "coast books", region: "Coast", category: "books", rate: 0.03 },
			{ name: "hills toys", region: "High  Hills", category: "Toys", rate: 0.1 },
		),
	);
	const nameOf = (region: string | null, category: string | null) => {
		const line = { product_id: "", category, amount: 1 };
		const cart = { currency: "EUR", country: "DE", region, lines: [line], shipping: 0 };
		return taxCart(cart, rates, true).lines[0]?.name;
	};

	test.each([
		[null, null, "all"],
		[null, "Kitchen", "all"],
		[null, "Books", "books"],
		[null, "books / CRIME", "books"],
		[null, "Books/Novels", "novels"],
		[null, "Books/Novels/French", "novels"],
		[null, "Bookshelves", "all"],
		["Elsewhere", "Books", "books"],
		["coast", null, "coast"],
		["COAST ", "Books/Novels", "coast books"],
		["Coast", "Kitchen", "coast"],
		["high hills", "Toys/Cars", "hills toys"],
		["high hills", "Books", "books"],
	])("in region %s and category %s is that of %s", (region, category, expected) => {
		expect(nameOf(region, category)).toBe(expected);
	});

	test("is null if no rate applies, and shipping has the rate without category", () => {
		const lines = [
			{ product_id: "", category: "Books", amount: 1 },
			{ product_id: "", category: null, amount: 1 },
		];
		const cart = { currency: "EUR", country: "DE", region: "Coast", lines, shipping: 5 };
		expect(taxCart(cart, toCountryRates([]), false)).toEqual({
			prices_include_tax: false,
			lines: [null, null],
			shipping: null,
		});
		const books = toCountryRates(tableOf({ category: "Books", rate: 0.07 }));
		expect(taxCart(cart, books, true)).toEqual({
			prices_include_tax: true,
			lines: [{ name: "VAT", rate: 0.07 }, null],
			shipping: null,
		});
		expect(taxCart(cart, rates, true).shipping).toEqual({ name: "coast", rate: 0.2 });
	});
});
