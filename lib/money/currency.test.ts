import { expect, test } from "@jest/globals";
import { decimalsOf, fitsCurrency } from "./currency.ts";

test("decimalsOf returns the decimals of ISO 4217", () => {
	expect(["EUR", "JPY", "HUF", "BHD", "ZZZ", "eur"].map(decimalsOf)).toEqual([
		2,
		0,
		expect.any(Number),
		3,
		undefined,
		undefined,
	]);
});

test("fitsCurrency accepts amounts with no more decimals than the currency", () => {
	for (const [amount, currency] of [
		[1, "JPY"],
		[1.5, "EUR"],
		[0.07, "USD"],
		[9_999_999_999.99, "EUR"],
		[1.5, "ZZZ"],
	] as const)
		expect(fitsCurrency(amount, currency)).toBe(true);
	for (const [amount, currency] of [
		[1.5, "JPY"],
		[1.005, "EUR"],
		[0.1, "KRW"],
	] as const)
		expect(fitsCurrency(amount, currency)).toBe(false);
});
