import { expect, test } from "@jest/globals";
import { fromStripeUnits, toStripeUnits } from "./stripe-units.ts";

test.each([
	[10.99, "USD", 1099],
	[500, "JPY", 500],
	[0.1 + 0.7, "EUR", 80],
	// Without decimals in CLDR, with two at Stripe.
	[1980, "HUF", 198_000],
	[5, "ISK", 500],
	[5, "UGX", 500],
	[5.12, "KWD", 5120],
	[9_999_999_999.99, "EUR", 999_999_999_999],
])("%d %s are %d units at Stripe", (amount, currency, units) => {
	expect(toStripeUnits(amount, currency)).toBe(units);
	expect(fromStripeUnits(units, currency)).toBeCloseTo(amount, 4);
});

test.each([
	[5.124, "KWD"],
	[1.5, "JPY"],
	[1.5, "ISK"],
	[1.5, "UGX"],
	[1.005, "EUR"],
	[1.005, "LYD"],
])("Stripe cannot charge %d %s", (amount, currency) => {
	expect(toStripeUnits(amount, currency)).toBeUndefined();
});
