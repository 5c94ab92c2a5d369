import { expect, test } from "@jest/globals";
import { assertPrice, assertRange, searchWords } from "./products.rules.ts";

test("search words are runs of letters and digits", () => {
	expect(searchWords("  usb-c  Hub, 'usb' ")).toEqual(["usb", "c", "Hub"]);
	expect(searchWords('a & !b | (c:*) <-> "d" \\ %_ 3.5')).toEqual(["a", "b", "c", "d", "3", "5"]);
	expect(searchWords("Größe 茶")).toEqual(["Größe", "茶"]);
	expect(searchWords("%&'\"")).toEqual([]);
});

test("a price range may be open or a single price, but not inverted", () => {
	for (const range of [{}, { min_price: 3 }, { max_price: 0 }, { min_price: 3, max_price: 3 }])
		expect(() => assertRange(range)).not.toThrow();
	expect(() => assertRange({ min_price: 3.01, max_price: 3 })).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR" }),
	);
});

test("a price has no more decimals than its currency, and the error names their number", () => {
	const message = (price: number, currency: string): string => {
		try {
			assertPrice({ price, currency });
		} catch (error) {
			return (error as { data: { errors: { message: string }[] } }).data.errors[0]!.message;
		}
		return "accepted";
	};
	expect([message(150, "JPY"), message(1.25, "EUR"), message(1.005, "BHD")]).toEqual(
		Array(3).fill("accepted"),
	);
	expect(message(1.5, "JPY")).toBe("A price in JPY can have at most 0 decimals");
	expect(message(1.005, "EUR")).toBe("A price in EUR can have at most 2 decimals");
	expect(message(1.0005, "BHD")).toBe("A price in BHD can have at most 3 decimals");
	expect(message(1, "ZZZ")).toBe("ZZZ is not an ISO 4217 currency");
});
