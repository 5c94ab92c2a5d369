import { expect, test } from "@jest/globals";
import {
	type Evaluation,
	examineLines,
	type Product,
	problemsOf,
} from "./carts.evaluation.rules.ts";
import type { CartContents } from "./carts.rules.ts";

const cart = (currency: string, quantity: number): CartContents & { user_id: string } => ({
	currency,
	user_id: "user",
	email: null,
	shipping_address: null,
	billing_address: null,
	shipping_method: null,
	coupon_codes: [],
	lines: [{ product_id: "tower", quantity, seen: null }],
	quote: null,
});
const product = (currency: string, price: number): Product => ({
	...{ id: "tower", name: "Tower", category: null, options: null, attributes: {} },
	...{ parent_id: null, variant_count: 0, price, currency },
});

test.each([
	["JPY", 5_000_000_000, 2, "ORDER_TOO_LARGE"],
	["JPY", 3_333_333_333, 3, null],
	["EUR", 4_999_999_999.99, 2, null],
	["EUR", 5_000_000_000, 2, "ORDER_TOO_LARGE"],
	["BHD", 9_999_999_999.99, 1, null],
])("a line in %s of %d × %d has the problem %s", (currency, price, quantity, problem) => {
	const [examined] = examineLines(cart(currency, quantity), [product(currency, price)]);
	expect(examined!.problem).toBe(problem);
});

test.each([
	["JPY", 10_000_000_000, ["ORDER_TOO_LARGE"]],
	["JPY", 9_999_999_999, []],
	["EUR", 1_000_000_000_000, ["ORDER_TOO_LARGE"]],
	["EUR", 999_999_999_999, []],
])("a total in %s of %d minor units has the problems %j", (currency, total_amount, codes) => {
	const result = { priced: { currency, total_amount }, problems: [] };
	const evaluation = { lines: [], available: new Map(), result, requiresAddress: false };
	const problems = problemsOf(cart(currency, 1), evaluation as unknown as Evaluation);
	expect(problems.map(({ code }) => code)).toEqual(codes);
});
