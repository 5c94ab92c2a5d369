import { expect, test } from "@jest/globals";
import { formatSeconds, formatTaxRate, words } from "./format.ts";

test.each([
	[0, "0 ms"],
	[0.25, "250 ms"],
	[1, "1 s"],
	[119, "119 s"],
	[120, "2 min"],
	[7200, "2 h"],
	[172_800, "2 d"],
])("%d seconds are %s", (seconds, text) => {
	expect(formatSeconds(seconds)).toBe(text);
});

test.each([
	[0.19, "19 %"],
	[0.08875, "8.875 %"],
	[0.07, "7 %"],
])("the tax rate %d is shown as %s", (rate, text) => {
	expect(formatTaxRate(rate)).toBe(text);
});

test("names are shown as words", () => {
	expect(words("payment.partially_refunded")).toBe("payment partially refunded");
});
