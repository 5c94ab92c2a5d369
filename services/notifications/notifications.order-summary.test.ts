import { expect, test } from "@jest/globals";
import { summarize } from "./notifications.order-summary.ts";

const order = { total_amount: 40, currency: "EUR" };
const items = [{ name: "Lamp", quantity: 2, line_total: 40 }];

test("shows only the total of an order without discounts, shipping costs and tax", () => {
	expect(summarize(order)).toEqual([["Total: €40.00"]]);
	const plain = { subtotal: 40, discount_amount: 0, shipping_amount: 0, tax_amount: 0 };
	expect(summarize({ ...order, ...plain, items, taxes: [], adjustments: [] })).toEqual([
		["2 × Lamp: €40.00", "Total: €40.00"],
	]);
});

test("shows each promotion, the shipping method and each tax", () => {
	const adjustments = [
		{ name: "Summer sale", code: "SUMMER", amount: 5 },
		{ name: "Free shipping", code: null, amount: 4.9 },
	];
	const taxes = [
		{ name: "VAT", rate: 0.19, amount: 3 },
		{ name: "Reduced VAT", rate: 0.055, amount: 1 },
	];
	const shipping = { shipping_amount: 4.9, shipping_method: { name: "Standard" } };
	const amounts = { subtotal: 40, discount_amount: 9.9, tax_amount: 4, total_amount: 39 };
	const priced = { ...order, ...amounts, ...shipping, adjustments, taxes };
	expect(summarize(priced)).toEqual([
		[
			"Subtotal: €40.00",
			"Summer sale: -€5.00",
			"Free shipping: -€4.90",
			"Shipping (Standard): €4.90",
			"VAT (19%): €3.00",
			"Reduced VAT (5.5%): €1.00",
			"Total: €39.00",
		],
	]);
	const [included] = summarize({ ...priced, prices_include_tax: true });
	expect(included).toContain("Includes VAT (19%): €3.00");
});

test("shows free shipping if the method is known", () => {
	const [lines] = summarize({ ...order, subtotal: 40, shipping_method: { name: "Standard" } });
	expect(lines).toEqual(["Subtotal: €40.00", "Shipping (Standard): €0.00", "Total: €40.00"]);
});

test("shows coupons and addresses, and the billing address if it is another one", () => {
	const blocks = (billing_address: readonly string[]) =>
		summarize({
			...order,
			coupon_codes: ["A", "B"],
			shipping_address: ["Grace", "Germany"],
			billing_address,
		}).slice(1);
	const same = [["Coupons: A, B"], ["Delivery address:", "Grace", "Germany"]];
	expect(blocks([])).toEqual(same);
	expect(blocks(["Grace", "Germany"])).toEqual(same);
	expect(blocks(["ACME", "Germany"])).toEqual([...same, ["Billing address:", "ACME", "Germany"]]);
});
