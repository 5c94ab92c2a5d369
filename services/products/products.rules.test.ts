import { expect, test } from "@jest/globals";
import { assertRange, searchWords } from "./products.rules.ts";

test("search words are runs of letters and digits", () => {
	expect(searchWords("  usb-c  Hub, 'usb' ")).toEqual(["usb", "c", "Hub"]);
	expect(searchWords('a & !b | (c:*) <-> "d" \\ %_ 3.5')).toEqual(["a", "b", "c", "d", "3", "5"]);
	expect(searchWords("Größe 茶")).toEqual(["Größe", "茶"]);
	expect(searchWords("%&'\"")).toEqual([]);
});

test("a price range may be open or a single price, but its minimum must not exceed its maximum", () => {
	for (const range of [{}, { min_price: 3 }, { max_price: 0 }, { min_price: 3, max_price: 3 }])
		expect(() => assertRange(range)).not.toThrow();
	expect(() => assertRange({ min_price: 3.01, max_price: 3 })).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR" }),
	);
});
