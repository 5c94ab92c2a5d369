import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { priceCart } from "./price-cart.ts";
import type { PricedCart, PricingInput, PricingPromotion, TaxRate } from "./pricing.ts";

type Tax = readonly [name: string, rate: number];
/** Amounts in minor units. Absent fields have the defaults of {@link inputOf}. */
interface Example {
	readonly title: string;
	/** Calculation of the expected amounts, in major units. */
	readonly derivation: string;
	readonly currency: string;
	readonly rounding?: PricingInput["rounding"];
	readonly prices_include_tax?: boolean;
	readonly customer?: PricingInput["customer"];
	readonly lines: readonly {
		readonly product_id: string;
		readonly quantity: number;
		readonly unit_price: number;
		readonly category?: string;
		readonly tax?: Tax;
	}[];
	readonly promotions?: readonly (Partial<PricingPromotion> &
		Pick<PricingPromotion, "id" | "effect">)[];
	readonly shipping?: { readonly price: number; readonly tax?: Tax };
	readonly expected: ReturnType<typeof summaryOf>;
}
const examples: readonly Example[] = JSON.parse(
	readFileSync(join(import.meta.dirname, "examples.json"), "utf8"),
);

const rateOf = (tax?: Tax): TaxRate | null => (tax ? { name: tax[0], rate: tax[1] } : null);
const inputOf = ({ lines, promotions = [], shipping, ...example }: Example): PricingInput => ({
	rounding: "line",
	customer: { user_id: null, has_ordered: false },
	...example,
	lines: lines.map((line) => ({ category: null, ...line })),
	promotions: promotions.map((promotion) => ({
		...{ name: promotion.id, code: null, priority: 0, combinable: true, conditions: {} },
		...promotion,
	})),
	shipping: shipping ? { code: "standard", name: "Standard", price: shipping.price } : null,
	tax: {
		prices_include_tax: example.prices_include_tax ?? true,
		lines: lines.map(({ tax }) => rateOf(tax)),
		shipping: rateOf(shipping?.tax),
	},
});
const summaryOf = ({ lines, adjustments, taxes, ...cart }: PricedCart) => ({
	lines: lines.map(({ product_id, discount, tax, total }) => ({
		product_id,
		discount,
		tax,
		total,
	})),
	adjustments: adjustments.map(({ promotion_id, amount }) => [promotion_id, amount] as const),
	shipping_discount: cart.shipping_discount,
	shipping_tax: cart.shipping_tax,
	taxes: taxes.map(({ name, rate, amount }) => [name, rate, amount] as const),
	subtotal: cart.subtotal,
	discount_amount: cart.discount_amount,
	tax_amount: cart.tax_amount,
	total_amount: cart.total_amount,
});

test.each(examples)("$title: $derivation", (example) => {
	expect(summaryOf(priceCart(inputOf(example)))).toEqual(example.expected);
});

test("the examples have different titles", () => {
	expect(new Set(examples.map(({ title }) => title)).size).toBe(examples.length);
	expect(examples.length).toBeGreaterThanOrEqual(60);
});
