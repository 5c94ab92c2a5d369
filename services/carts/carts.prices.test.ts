import { beforeEach, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Evaluator } from "./carts.evaluation.ts";
import { type Buyer, cartShop, home } from "./test/cart-shop.ts";

const shop = cartShop();

/** A user's cart with two pieces of a product at 10.00. */
async function cartOfTwo(fields: object = {}) {
	const user = shop.user();
	const { id } = await shop.open(user);
	const product = shop.product(fields);
	await shop.put(id, user, product, 2);
	return {
		id,
		user,
		product,
		get: async (buyer: Buyer = user) => (await shop.get(id, buyer)).body,
	};
}
const codes = (cart: { problems: { code: string }[] }) => cart.problems.map(({ code }) => code);

beforeEach(async () => {
	shop.reconnect();
	await shop.configure({ rates: [], methods: [] });
});

describe("changes", () => {
	test("list price increases and decreases once", async () => {
		const { id, user, product, get } = await cartOfTwo();
		const other = shop.product({ price: 5 });
		await shop.put(id, user, other, 1);
		expect((await get()).changes).toEqual([]);
		await shop.change(product, { price: 12 });
		await shop.change(other, { price: 4 });
		expect(await get()).toMatchObject({
			total_amount: 28,
			changes: [
				{ product_id: product, from: 10, to: 12 },
				{ product_id: other, from: 5, to: 4 },
			],
		});
		expect(await get()).toMatchObject({ total_amount: 28, changes: [] });
	});

	test("are reported by the next change of the cart, also of the same line", async () => {
		const { id, user, product, get } = await cartOfTwo();
		await shop.change(product, { price: 12 });
		const { body } = await shop.put(id, user, product, 3);
		expect(body.changes).toEqual([{ product_id: product, from: 10, to: 12 }]);
		expect((await get()).changes).toEqual([]);
	});

	test("remain for the buyer when an administrator reads the cart", async () => {
		const { product, get } = await cartOfTwo();
		await shop.change(product, { price: 12 });
		const expected = [{ product_id: product, from: 10, to: 12 }];
		expect((await get(shop.asAdmin())).changes).toEqual(expected);
		expect((await get()).changes).toEqual(expected);
	});

	test("report a removed product, which costs nothing, and its return", async () => {
		const { product, get } = await cartOfTwo();
		await shop.change(product, null);
		expect(await get()).toMatchObject({
			lines: [{ product_id: product, quantity: 2, unit_price: 0, total: 0 }],
			total_amount: 0,
			changes: [{ product_id: product, from: 10, to: null }],
			problems: [{ code: "PRODUCT_NOT_FOUND", product_id: product }],
		});
		await shop.change(product, { price: 9 });
		expect(await get()).toMatchObject({
			total_amount: 18,
			changes: [{ product_id: product, from: null, to: 9 }],
			problems: [],
		});
	});
});

describe("problems", () => {
	test("of lines name the product", async () => {
		const { id, user, product, get } = await cartOfTwo();
		const other = shop.product();
		await shop.put(id, user, other, 1);
		await shop.change(other, { currency: "USD" });
		shop.stock.set(product, 1);
		expect(await get()).toMatchObject({
			total_amount: 20,
			lines: [{ available: 1 }, { unit_price: 0 }],
			problems: [
				{ code: "OUT_OF_STOCK", product_id: product },
				{ code: "CURRENCY_CHANGED", product_id: other },
			],
		});
		shop.stock.delete(product);
		await shop.change(product, { variant_count: 1 });
		expect((await get()).problems[0]).toEqual({ code: "CHOOSE_VARIANT", product_id: product });
	});

	test("do not include the stock while the inventory is down", async () => {
		const { product, get } = await cartOfTwo();
		shop.stock.set(product, 0);
		shop.disconnect("inventory");
		expect(await get()).toMatchObject({ lines: [{ available: null }], problems: [] });
	});

	test("include a line with which the cart exceeds the largest amount", async () => {
		const { product, get } = await cartOfTwo();
		await shop.change(product, { price: 9_000_000_000 });
		expect(await get()).toMatchObject({
			total_amount: 0,
			problems: [{ code: "ORDER_TOO_LARGE", product_id: product }],
		});
	});

	test("require an address only if shipping or tax depends on it", async () => {
		const { id, user, get } = await cartOfTwo();
		expect(codes(await get())).toEqual([]);
		await shop.configure({ rates: [vat] });
		expect(codes(await get())).toEqual(["ADDRESS_REQUIRED"]);
		await shop.configure({ methods: [parcel] });
		expect(codes(await get())).toEqual(["ADDRESS_REQUIRED"]);
		await shop.patch(id, user, { shipping_address: home });
		expect(codes(await get())).toEqual([]);
	});
});

const vat = { country: "DE", name: "VAT", rate: 0.19 };
const parcel = { code: "parcel", name: "Parcel", price: 5, countries: ["DE"], position: 1 };
const express = { code: "express", name: "Express", price: 12.5, countries: ["DE", "FR"] };

describe("tax and shipping", () => {
	test("follow the address and the selected method", async () => {
		await shop.configure({
			rates: [vat, { ...vat, country: "FR", name: "TVA", rate: 0.2 }],
			methods: [parcel, { ...express, position: 2 }],
		});
		const { id, user } = await cartOfTwo();
		const inBerlin = await shop.patch(id, user, { shipping_address: home });
		expect(inBerlin.body).toMatchObject({
			prices_include_tax: true,
			shipping_method: "parcel",
			shipping_methods: [
				{ code: "parcel", name: "Parcel", price: 5 },
				{ code: "express", name: "Express", price: 12.5 },
			],
			shipping_amount: 5,
			taxes: [{ name: "VAT", rate: 0.19, amount: 3.99 }],
			tax_amount: 3.99,
			total_amount: 25,
			problems: [],
		});
		const express_ = await shop.patch(id, user, { shipping_method: "express" });
		expect(express_.body).toMatchObject({ shipping_method: "express", total_amount: 32.5 });
		const paris = { ...home, country: "FR", postal_code: "75001", city: "Paris" };
		const inParis = await shop.patch(id, user, { shipping_address: paris });
		expect(inParis.body).toMatchObject({ taxes: [{ name: "TVA" }], total_amount: 32.5 });
	});

	test("reject a method that does not deliver to the address", async () => {
		await shop.configure({ methods: [parcel, express] });
		const { id, user, get } = await cartOfTwo();
		await shop.patch(id, user, { shipping_address: home, shipping_method: "parcel" });
		const paris = { ...home, country: "FR", postal_code: "75001", city: "Paris" };
		const both = { shipping_address: paris, shipping_method: "parcel" };
		expect((await shop.patch(id, user, both)).body.code).toBe("METHOD_UNAVAILABLE");
		expect((await get()).shipping_address).toEqual(home);
		const { body } = await shop.patch(id, user, { shipping_address: paris });
		expect(body).toMatchObject({
			shipping_method: "parcel",
			shipping_methods: [{ code: "express" }],
			shipping_amount: 0,
			problems: [{ code: "METHOD_UNAVAILABLE", product_id: null }],
		});
		const rome = { ...home, country: "IT", postal_code: "00100", city: "Rome" };
		expect(codes((await shop.patch(id, user, { shipping_address: rome })).body)).toEqual([
			"UNDELIVERABLE",
		]);
	});
});

describe("coupons", () => {
	const unique = () => `C${uuid().slice(-10)}`;

	test("discount the cart, in any case and once", async () => {
		const code = unique();
		const { id: promotion_id } = await shop.promotion({ code });
		const { id, user, get } = await cartOfTwo();
		const { body } = await shop.patch(id, user, {
			coupon_codes: [code.toLowerCase(), code, code.toUpperCase()],
		});
		expect(body).toMatchObject({
			coupon_codes: [code],
			adjustments: [{ promotion_id, code, amount: 2 }],
			discount_amount: 2,
			total_amount: 18,
		});
		expect((await get()).total_amount).toBe(18);
		expect((await shop.patch(id, user, { coupon_codes: [] })).body.total_amount).toBe(20);
	});

	test("are rejected if they are unknown, have ended or have another currency", async () => {
		const ended = await shop.promotion({ code: unique(), ends_at: "2020-01-01T00:00:00Z" });
		const dollars = await shop.promotion({
			code: unique(),
			currency: "USD",
			effect: { type: "amount_off", value: 1 },
		});
		const { id, user, get } = await cartOfTwo();
		for (const coupon_code of ["NO-SUCH", ended.code!, dollars.code!]) {
			const { body } = await shop.patch(id, user, { coupon_codes: [coupon_code] });
			expect(body).toMatchObject({ status: 422, code: "COUPON_UNKNOWN", coupon_code });
		}
		expect((await get()).coupon_codes).toEqual([]);
	});

	test("for a parent discount its variants", async () => {
		const [code, parent_id] = [unique(), uuid()];
		await shop.promotion({ code, conditions: { product_ids: [parent_id] } });
		const { id, user } = await cartOfTwo({ parent_id });
		await shop.put(id, user, shop.product(), 1);
		const { body } = await shop.patch(id, user, { coupon_codes: [code] });
		expect(body).toMatchObject({ subtotal: 30, discount_amount: 2 });
	});

	test("that end later or are used up become a problem", async () => {
		const code = unique();
		const { id: promotion_id } = await shop.promotion({ code, usage_limit: 1 });
		const { id, user, get } = await cartOfTwo();
		await shop.patch(id, user, { coupon_codes: [code] });
		const uses = [{ promotion_id, amount: 2 }];
		await shop.shop.call("promotions.redeem", {
			orders: [{ order_id: uuid(), customer: uuid(), uses }],
		});
		expect(await get()).toMatchObject({
			total_amount: 20,
			problems: [{ code: "COUPON_USED_UP", product_id: null, coupon_code: code }],
		});
		await shop.shop.call("promotions.remove", { id: promotion_id }, shop.adminMeta);
		expect(codes(await get())).toEqual(["COUPON_UNKNOWN"]);
		const again = await shop.patch(id, user, { coupon_codes: [code] });
		expect(again.body.code).toBe("COUPON_UNKNOWN");
	});

	test("for first orders depend on the customer, also on the address of a guest", async () => {
		const code = unique();
		await shop.promotion({ code, conditions: { first_order: true } });
		const { cart, headers } = await shop.guest();
		const buyer = { headers: headers! };
		await shop.put(cart.id, buyer, shop.product(), 1);
		const email = `${uuid()}@example.com`;
		shop.orders.customers.add(email);
		expect((await shop.patch(cart.id, buyer, { coupon_codes: [code] })).body.total_amount).toBe(9);
		expect((await shop.patch(cart.id, buyer, { email })).body.total_amount).toBe(10);
	});
});

test("a read writes only if prices have changed", async () => {
	await shop.configure({ rates: [vat], methods: [parcel] });
	const { code } = await shop.promotion({ code: `C${uuid().slice(-10)}` });
	const { id, user, get, product } = await cartOfTwo();
	await shop.patch(id, user, { shipping_address: home, coupon_codes: [code!] });
	const written = async () =>
		(
			await shop.shop.databases.query<{ xmin: string }>(
				"carts",
				"select xmin::text from carts where id = $1",
				[id],
			)
		)[0]!.xmin;
	const before = await written();
	await get();
	expect(await written()).toBe(before);
	await shop.change(product, { price: 11 });
	await get();
	expect(await written()).not.toBe(before);
});

describe("during an outage", () => {
	test("the last known tax, shipping costs and coupons apply to an estimate", async () => {
		await shop.configure({ rates: [vat], methods: [parcel] });
		const { code } = await shop.promotion({ code: `C${uuid().slice(-10)}` });
		const { id, user, get, product } = await cartOfTwo();
		await shop.patch(id, user, { shipping_address: home, coupon_codes: [code!] });
		const before = await get();
		expect(before).toMatchObject({ estimated: false, total_amount: 23, tax_amount: 3.67 });
		const unchanged = { ...before, updated_at: expect.any(String) };
		for (const service of ["tax", "shipping"]) {
			shop.disconnect(service);
			expect(await get()).toEqual({ ...unchanged, estimated: true });
			const { body } = await shop.put(id, user, product, 4);
			expect(body).toMatchObject({ estimated: true, total_amount: 41, shipping_amount: 5 });
			shop.reconnect();
			await shop.put(id, user, product, 2);
		}
		expect(await get()).toEqual(unchanged);
	});

	test("of promotions, coupons cannot be added, and carts without coupons are exact", async () => {
		const { id, user, get } = await cartOfTwo();
		shop.disconnect("promotions");
		expect((await get()).estimated).toBe(false);
		const response = await shop.patch(id, user, { coupon_codes: ["SUMMER"] });
		expect(response.body.code).toBe("SERVICE_UNAVAILABLE");
		shop.reconnect();
		expect((await get()).coupon_codes).toEqual([]);
	});

	test("of products, carts cannot be read", async () => {
		const { id, user, product } = await cartOfTwo();
		await shop.change(product, {});
		shop.disconnect("products");
		expect((await shop.get(id, user)).body.code).toBe("SERVICE_UNAVAILABLE");
	});
});

test("concurrent carts request their products together", async () => {
	const { evaluator } = shop.shop.broker.getLocalService("carts") as unknown as {
		evaluator: Evaluator;
	};
	const [tea, coffee] = [shop.product(), shop.product()];
	const found = await Promise.all([[tea], [coffee, tea]].map(evaluator.findProducts));
	expect(found).toMatchObject([[{ id: tea }], [{ id: coffee }, { id: tea }]]);
	expect(shop.productCalls).toEqual([[tea, coffee]]);
});
