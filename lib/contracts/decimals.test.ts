import { expect, test } from "@jest/globals";
import { assertDecimals } from "./decimals.ts";

test("an amount with more decimals than its currency has is rejected", () => {
	expect(() => assertDecimals("amount", 1.5, "EUR")).not.toThrow();
	expect(() => assertDecimals("amount", 150, "JPY")).not.toThrow();
	expect(() => assertDecimals("amount", 1.005, "BHD")).not.toThrow();
	const names = (digits: number) =>
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			code: 422,
			data: {
				errors: [expect.objectContaining({ message: expect.stringContaining(`${digits}`) })],
			},
		});
	expect(() => assertDecimals("amount", 1.5, "JPY")).toThrow(names(0));
	expect(() => assertDecimals("amount", 1.0005, "BHD")).toThrow(names(3));
});
