import { afterEach, expect, test } from "@jest/globals";
import { promotionRecord } from "../../test/support/records.ts";
import { home, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps, place, configure } = orders;
afterEach(() => configure({}));

test("without tax, shipping and promotions, the total is the sum of the lines", async () => {
	const order = await place({ shipping_address: "Main Street 1" });
	expect(order).toMatchObject({
		email: null,
		items: [{ line_total: 39.98, discount: 0, tax: 0, total: 39.98 }],
		subtotal: 39.98,
		discount_amount: 0,
		shipping_amount: 0,
		tax_amount: 0,
		total_amount: 39.98,
		prices_include_tax: true,
		shipping_method: null,
		shipping_address: "Main Street 1",
		billing_address: null,
		coupon_codes: [],
	});
	const [row] = await orders.shop.databases.query<{ priced: unknown; items: object[] }>(
		"orders",
		"select priced, items from orders where id = $1",
		[order.id],
	);
	expect(row!.priced).toBeNull();
	expect(Object.keys(row!.items[0]!)).toEqual([
		"product_id",
		"name",
		"quantity",
		"unit_price",
		"line_total",
	]);
});

test("tax applies to the next order after it was enabled, and is kept", async () => {
	await place();
	await configure({ tax: { enabled: true, prices_include_tax: false } });
	const order = await place({ shipping_address: home });
	expect(order).toMatchObject({
		items: [{ line_total: 39.98, discount: 0, tax: 7.6, total: 47.58 }],
		subtotal: 39.98,
		tax_amount: 7.6,
		total_amount: 47.58,
		prices_include_tax: false,
		shipping_address: home,
	});
	await configure({});
	expect((await place()).total_amount).toBe(39.98);
});

test("an automatic promotion is redeemed, unless the customer has used it up", async () => {
	const promotion = promotionRecord({ usage_limit_per_customer: 1 });
	await configure({ automatic: [promotion] });
	const order = await place();
	expect(order).toMatchObject({ discount_amount: 4, total_amount: 35.98 });
	expect(steps.of(order.id)).toEqual(["reserve", "redeem", "charge"]);
	expect(steps.redemptions).toMatchObject([{ uses: [{ promotion_id: promotion.id, amount: 4 }] }]);
	await configure({ automatic: [promotion], used: 1 });
	expect((await place()).total_amount).toBe(39.98);
});

test("a promotion for the first order does not apply to the second", async () => {
	await place();
	await configure({ automatic: [promotionRecord({ conditions: { first_order: true } })] });
	expect((await place()).discount_amount).toBe(0);
});

test("a shipping method that does not exist is rejected", async () => {
	await expect(place({ shipping_method: "express" })).rejects.toMatchObject({
		code: 409,
		type: "METHOD_UNAVAILABLE",
	});
});

test("a structured address is kept although nothing else is configured", async () => {
	const order = await place({ shipping_address: home });
	expect(order).toMatchObject({ total_amount: 39.98, shipping_address: home });
	const { id } = order;
	const [row] = await orders.shop.databases.query<{ shipping_address: string }>(
		"orders",
		"select shipping_address from orders where id = $1",
		[id],
	);
	expect(row!.shipping_address).toBe("Jo\nMain Street 1\n10115 Berlin\nGermany");
});

test("an address in an unknown country or without its postal code is rejected", async () => {
	for (const [change, field] of [
		[{ country: "XX" }, "shipping_address.country"],
		[{ postal_code: "1" }, "shipping_address.postal_code"],
	] as const)
		await expect(place({ shipping_address: { ...home, ...change } })).rejects.toMatchObject({
			code: 422,
			data: { errors: [{ field }] },
		});
});
