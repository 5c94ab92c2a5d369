import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
	digitsOf,
	fitsCurrency,
	fromMinorUnits,
	isCurrency,
	MAX_DIGITS,
	MONEY_MAX,
	maxMinorUnits,
	toMinorUnits,
} from "./currency.ts";

test("digitsOf returns the decimals of a currency, and two for an unknown code", () => {
	expect(["JPY", "EUR", "BHD", "ZZZ", "eur", ""].map(digitsOf)).toEqual([0, 2, 3, 2, 2, 2]);
	expect(["JPY", "BHD", "ZZZ", "eur", ""].map(isCurrency)).toEqual([
		true,
		true,
		false,
		false,
		false,
	]);
});

// If an upgrade of Node changes this list, stored amounts may no longer fit their currency. The
// amounts of such a currency must then be migrated.
test("the currencies without two decimals are those of the stored amounts", () => {
	const codes = Intl.supportedValuesOf("currency");
	const withDigits = (digits: number) =>
		codes.filter((code) => digitsOf(code) === digits).join(" ");
	expect(Math.max(...codes.map(digitsOf))).toBeLessThanOrEqual(MAX_DIGITS);
	expect({ 0: withDigits(0), 3: withDigits(3), 4: withDigits(4) }).toEqual({
		0:
			"AFN ALL BIF CLP COP DJF GNF HUF IDR IQD IRR ISK JPY KMF KPW KRW " +
			"LAK LBP MGA MMK PKR PYG RWF SLL SOS SYP UGX VND VUV XAF XOF XPF YER",
		3: "BHD JOD KWD LYD OMR TND",
		4: "",
	});
});

test("maxMinorUnits is the largest amount of each currency that contracts accept", () => {
	expect(["JPY", "EUR", "BHD", "ZZZ"].map(maxMinorUnits)).toEqual([
		9_999_999_999, 999_999_999_999, 9_999_999_999_990, 999_999_999_999,
	]);
	for (const code of Intl.supportedValuesOf("currency")) {
		const max = maxMinorUnits(code);
		expect(fromMinorUnits(max, code)).toBeLessThanOrEqual(MONEY_MAX);
		expect(fromMinorUnits(max + 1, code)).toBeGreaterThan(MONEY_MAX);
	}
});

test("fitsCurrency accepts amounts with no more decimals than the currency", () => {
	for (const [amount, currency] of [
		[1, "JPY"],
		[9_999_999_999, "JPY"],
		[1.5, "EUR"],
		[0.07, "USD"],
		[9_999_999_999.99, "EUR"],
		[1.005, "BHD"],
		[9_999_999_999.999, "BHD"],
		[1.5, "ZZZ"],
	] as const)
		expect(fitsCurrency(amount, currency)).toBe(true);
	for (const [amount, currency] of [
		[1.5, "JPY"],
		[0.1, "KRW"],
		[1.005, "EUR"],
		[1.0005, "BHD"],
		[0.1 + 0.2, "EUR"],
		[Number.NaN, "EUR"],
	] as const)
		expect(fitsCurrency(amount, currency)).toBe(false);
});

const currencies = fc.constantFrom("JPY", "EUR", "BHD");

test("minor units survive the conversion to an amount, to text and back", () => {
	fc.assert(
		fc.property(currencies, fc.integer({ min: 0, max: 9_999_999_999_999 }), (currency, minor) => {
			const amount = fromMinorUnits(minor, currency);
			expect(toMinorUnits(amount, currency)).toBe(minor);
			expect(fitsCurrency(amount, currency)).toBe(true);
			const digits = digitsOf(currency);
			const text = String(minor).padStart(digits + 1, "0");
			const decimal = digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
			expect(Number(decimal)).toBe(amount);
		}),
	);
});

test("toMinorUnits rounds an amount with too many decimals", () => {
	expect([toMinorUnits(1.5, "JPY"), toMinorUnits(1.2345, "BHD")]).toEqual([2, 1235]);
});
