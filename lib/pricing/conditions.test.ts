import { describe, expect, test } from "@jest/globals";
import { branchesOf, isEligible, targetsOf } from "./conditions.ts";
import type { PricingPromotion, PromotionConditions } from "./pricing.ts";

const promotion = (conditions: PromotionConditions): PricingPromotion => ({
	...{ id: "p", name: "Promotion", code: null, priority: 0, combinable: true, conditions },
	effect: { type: "free_shipping" },
});
const categories = ["Kitchen", "Kitchen/Knives", "Kitchenware", "kitchen / Pots", null];
const lines = categories.map((category, i) => ({
	...{ product_id: `product-${i}`, quantity: 1, unit_price: 100, category },
	parent_id: i === 2 ? "parent" : null,
}));

describe("targetsOf", () => {
	test.each([
		["all lines without products and categories", { min_subtotal: 100 }, [0, 1, 2, 3, 4]],
		[
			"a branch, but no category whose name only begins alike",
			{ categories: ["Kitchen"] },
			[0, 1, 3],
		],
		["any letter case and spaces", { categories: ["KITCHEN/ knives"] }, [1]],
		["full-width letters", { categories: ["Ｋｉｔｃｈｅｎ/pots"] }, [3]],
		["no part of a name", { categories: ["Knives", "Kit", ""] }, []],
		["products", { product_ids: ["product-4", "product-9"] }, [4]],
		[
			"products and categories",
			{ product_ids: ["product-4"], categories: ["Kitchenware"] },
			[2, 4],
		],
		["variants of a parent", { product_ids: ["parent", "product-0"] }, [0, 2]],
		["no line for an empty list", { product_ids: [] }, []],
	])("matches %s", (_, conditions, expected) => {
		expect(targetsOf(promotion(conditions), lines)).toEqual(expected);
	});
});

describe("isEligible", () => {
	const customer = { user_id: "u", has_ordered: true };
	const guest = { user_id: null, has_ordered: false };
	test.each([
		["a subtotal at the minimum", { min_subtotal: 1000 }, 1000, customer, true],
		["a subtotal below the minimum", { min_subtotal: 1000 }, 999, customer, false],
		["a first order", { first_order: true }, 0, guest, true],
		["a second order", { first_order: true }, 0, customer, false],
		["a second order of a promotion for all", { first_order: false }, 0, customer, true],
		["a selected account", { user_ids: ["v", "u"] }, 0, customer, true],
		["another account", { user_ids: ["v"] }, 0, customer, false],
		["a guest", { user_ids: ["v"] }, 0, guest, false],
		["one of two conditions", { first_order: true, min_subtotal: 1000 }, 999, guest, false],
	])("%s", (_, conditions, subtotal, buyer, expected) => {
		expect(isEligible(promotion(conditions), subtotal, buyer)).toBe(expected);
	});
});

test("branchesOf lists all branches of a category, longest first", () => {
	expect(branchesOf("Kitchen/Knives /Bread")).toEqual([
		"kitchen/knives/bread",
		"kitchen/knives",
		"kitchen",
	]);
});
