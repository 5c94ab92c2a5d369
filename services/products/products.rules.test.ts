import { expect, test } from "@jest/globals";
import { assertRange, changesOf, type Product, searchWords } from "./products.rules.ts";

test("a query is cut into words, and whatever is no letter or digit only separates them", () => {
	expect(searchWords("  usb-c  Hub, 'usb' ")).toEqual(["usb", "c", "Hub"]);
	expect(searchWords('a & !b | (c:*) <-> "d" \\ %_ 3.5')).toEqual(["a", "b", "c", "d", "3", "5"]);
	expect(searchWords("Größe 茶")).toEqual(["Größe", "茶"]);
	expect(searchWords("%&'\"")).toEqual([]);
});

test("a price range may be open or a single price, but not upside down", () => {
	for (const range of [{}, { min_price: 3 }, { max_price: 0 }, { min_price: 3, max_price: 3 }])
		expect(() => assertRange(range)).not.toThrow();
	expect(() => assertRange({ min_price: 3.01, max_price: 3 })).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR" }),
	);
});

test("only what differs is a change", () => {
	const before = { name: "Mug", price: 9.5, description: null, sku: "M-1" } as Product;
	expect(changesOf(before, { name: "Mug", price: 9.5, description: null, sku: null })).toEqual({
		sku: null,
	});
});
