import { expect, test } from "@jest/globals";
import { formatAmount } from "./format-amount.ts";

test.each([
	[1234.5, "EUR", "€1,234.50"],
	[-5, "EUR", "-€5.00"],
	[1234.5, "JPY", "¥1,235"],
	[1234.5, "BHD", "BHD\u00a01,234.500"],
	[1234.5, "points", "1234.50 points"],
	[1234.5, "XYZ", "XYZ\u00a01,234.50"],
])("formats %d %s", (amount, currency, text) => {
	expect(formatAmount(amount, currency)).toBe(text);
});
