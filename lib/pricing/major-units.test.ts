import { describe, expect, test } from "@jest/globals";
import type { pricedOrder } from "../../services/orders/orders.contract.shapes.ts";
import type { applicable } from "../../services/promotions/promotions.contract.ts";
import type { Infer } from "../contracts/schema.ts";
import { inMajorUnits, pricingPromotion } from "./major-units.ts";
import { priceCart } from "./price-cart.ts";
import type { PricingInput } from "./pricing.ts";

type PricedOrder = Infer<typeof pricedOrder>;
type Promotion = Infer<typeof applicable>;

const defined: Promotion = {
	id: "5b4e2a52-0000-7000-8000-000000000001",
	name: "Summer",
	code: "SUMMER",
	starts_at: null,
	ends_at: null,
	priority: 3,
	combinable: false,
	currency: "EUR",
	conditions: {},
	effect: { type: "percent_off", value: 12.5 },
	usage_limit: null,
	usage_limit_per_customer: null,
	budget: null,
	is_exhausted: false,
};
const { id, name, code, priority, combinable } = defined;

describe("inMajorUnits", () => {
	const vat = { name: "VAT", rate: 0.1 };
	const input: PricingInput = {
		currency: "EUR",
		lines: [{ product_id: "a", quantity: 2, unit_price: 1050, category: null }],
		promotions: [pricingPromotion(defined, "EUR")!],
		customer: { user_id: null, has_ordered: false },
		shipping: { code: "s", name: "Standard", price: 490 },
		tax: { prices_include_tax: false, lines: [vat], shipping: vat },
		rounding: "line",
	};

	test("converts all amounts, and adds details to the lines, as an order stores them", () => {
		const order: Omit<
			PricedOrder,
			"email" | "shipping_address" | "billing_address" | "coupon_codes"
		> = inMajorUnits(priceCart(input), ({ product_id }) => ({ name: `Product ${product_id}` }));
		expect(order).toEqual({
			currency: "EUR",
			prices_include_tax: false,
			lines: [
				{
					product_id: "a",
					name: "Product a",
					quantity: 2,
					unit_price: 10.5,
					subtotal: 21,
					discount: 2.63,
					tax: 1.84,
					total: 20.21,
					tax_rate: vat,
				},
			],
			adjustments: [{ promotion_id: id, name: "Summer", code: "SUMMER", amount: 2.63 }],
			shipping_method: { code: "s", name: "Standard" },
			shipping_amount: 4.9,
			shipping_discount: 0,
			shipping_tax: 0.49,
			shipping_tax_rate: vat,
			taxes: [{ ...vat, amount: 2.33 }],
			subtotal: 21,
			discount_amount: 2.63,
			tax_amount: 2.33,
			total_amount: 25.6,
		});
	});

	test.each([
		["JPY", 3090],
		["BHD", 3.09],
	])("uses the decimals of %s", (currency, total) => {
		const cart = priceCart({
			...input,
			currency,
			lines: [{ product_id: "a", quantity: 1, unit_price: 2600, category: null }],
			tax: { prices_include_tax: true, lines: [vat], shipping: vat },
			promotions: [],
		});
		expect(inMajorUnits(cart, () => ({})).total_amount).toBe(total);
	});
});

describe("pricingPromotion", () => {
	test("converts amounts to minor units of the cart's currency", () => {
		const conditions = { min_subtotal: 50, categories: ["Books"] };
		const effect = { type: "amount_off", value: 4.99 } as const;
		expect(pricingPromotion({ ...defined, conditions, effect, budget: 1000.5 }, "EUR")).toEqual({
			...{ id, name, code, priority, combinable },
			conditions: { min_subtotal: 5000, categories: ["Books"] },
			effect: { type: "amount_off", value: 499 },
			max_discount: 100_050,
		});
	});

	test.each<[Promotion["effect"], object]>([
		[
			{ type: "percent_off", value: 12.5 },
			{ type: "percent_off", value: 12.5 },
		],
		[{ type: "free_shipping" }, { type: "free_shipping" }],
		[
			{ type: "buy_x_get_y", buy: 2, get: 1 },
			{ type: "buy_x_get_y", buy: 2, get: 1 },
		],
	])("%j without amounts applies in every currency", (effect, expected) => {
		expect(pricingPromotion({ ...defined, effect }, "JPY")).toEqual({
			...{ id, name, code, priority, combinable },
			conditions: {},
			effect: expected,
		});
	});

	test.each<Partial<Promotion>>([
		{ effect: { type: "amount_off", value: 5 } },
		{ conditions: { min_subtotal: 50 } },
		{ budget: 100 },
	])("%j applies only in the currency of the promotion", (amounts) => {
		expect(pricingPromotion({ ...defined, ...amounts }, "JPY")).toBeNull();
		expect(pricingPromotion({ ...defined, ...amounts }, "EUR")).not.toBeNull();
	});

	test.each(["percent_off", "amount_off", "buy_x_get_y"] as const)(
		"%s without its numbers discounts nothing",
		(type) => {
			const promotion = pricingPromotion({ ...defined, effect: { type } }, "EUR")!;
			const cart = priceCart({
				currency: "EUR",
				lines: [{ product_id: "a", quantity: 2, unit_price: 1050, category: null }],
				promotions: [promotion],
				customer: { user_id: null, has_ordered: false },
				shipping: null,
				tax: { prices_include_tax: true, lines: [null], shipping: null },
				rounding: "line",
			});
			expect(cart.adjustments).toEqual([]);
		},
	);
});
