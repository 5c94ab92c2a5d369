import { beforeEach, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { cartShop, home } from "./test/cart-shop.ts";

const shop = cartShop();
const preview = (body: object) => shop.http("POST /api/carts/preview", shop.asAdmin(), body);
const two = (product_id: string) => [{ product_id, quantity: 2 }];
const vat = { country: "DE", name: "VAT", rate: 0.19 };
const parcel = { code: "parcel", name: "Parcel", price: 5, countries: ["DE"] };
const express = { code: "express", name: "Express", price: 12.5, countries: ["DE"] };

beforeEach(async () => {
	shop.reconnect();
	await shop.configure({ rates: [], methods: [] });
});

test("returns the prices of the same cart that a buyer stores", async () => {
	await shop.configure({ rates: [vat], methods: [parcel, express] });
	const code = `C${uuid().slice(-10)}`;
	await shop.promotion({ code });
	const { id, buyer, product, get } = await shop.userCart();
	const contents = { shipping_address: home, shipping_method: "express", coupon_codes: [code] };
	await shop.patch(id, buyer, contents);
	const stored = await get();
	const { status, body } = await preview({
		...contents,
		lines: two(product),
		user_id: (buyer as { id: string }).id,
	});
	expect(status).toBe(200);
	expect(body).toMatchObject({ total_amount: 30.5, discount_amount: 2, problems: [] });
	expect(stored).toMatchObject(body);
});

test("stores nothing", async () => {
	const count = () => shop.shop.databases.query("carts", "select count(*) from carts");
	const before = await count();
	await preview({ lines: two(shop.product()) });
	expect(await count()).toEqual(before);
});

test("has the currency of the first product unless another is requested", async () => {
	const lines = two(shop.product({ currency: "JPY", price: 500 }));
	expect((await preview({ lines })).body).toMatchObject({ currency: "JPY", total_amount: 1000 });
	expect((await preview({ lines, currency: "EUR" })).body).toMatchObject({
		currency: "EUR",
		total_amount: 0,
		problems: [{ code: "CURRENCY_CHANGED" }, { code: "EMAIL_REQUIRED" }],
	});
});

test("reports problems instead of refusing the request", async () => {
	await shop.configure({ methods: [parcel] });
	const product = shop.product();
	shop.stock.set(product, 1);
	const { status, body } = await preview({
		lines: [...two(product), ...two(uuid())],
		coupon_codes: ["unknown", "UNKNOWN"],
		shipping_method: "express",
		shipping_address: home,
	});
	expect(status).toBe(200);
	expect(body.problems.map(({ code }: { code: string }) => code)).toEqual([
		"OUT_OF_STOCK",
		"PRODUCT_NOT_FOUND",
		"EMAIL_REQUIRED",
		"COUPON_UNKNOWN",
		"METHOD_UNAVAILABLE",
	]);
});

test("applies promotions for the first order of the customer", async () => {
	const code = `C${uuid().slice(-10)}`;
	await shop.promotion({ code, conditions: { first_order: true } });
	const lines = two(shop.product());
	const request = { lines, coupon_codes: [code], email: "Regular@example.com" };
	expect((await preview(request)).body.total_amount).toBe(18);
	shop.orders.customers.add("regular@example.com");
	expect((await preview(request)).body.total_amount).toBe(20);
});

test("is an estimate while promotions are unavailable, and fails without products", async () => {
	const lines = two(shop.product());
	shop.disconnect("promotions");
	shop.disconnect("inventory");
	expect((await preview({ lines, coupon_codes: ["X"] })).body).toMatchObject({
		estimated: true,
		total_amount: 20,
		lines: [{ available: null }],
	});
	shop.disconnect("products");
	expect((await preview({ lines: two(shop.product()) })).status).toBe(503);
});

describe("rejects", () => {
	test.each([
		["no line", { lines: [] }],
		["a quantity of 0", { lines: [{ product_id: uuid(), quantity: 0 }] }],
		["an unknown currency", { lines: two(uuid()), currency: "ABC" }],
		["an incomplete address", { lines: two(uuid()), shipping_address: { country: "DE" } }],
		[
			"a wrong postal code",
			{ lines: two(uuid()), shipping_address: { ...home, postal_code: "1" } },
		],
		["an address of the wrong form", { lines: two(uuid()), email: "<a@example.com>" }],
	])("%s", async (_case, body) => {
		expect((await preview(body)).status).toBe(422);
	});

	test("a product in two lines", async () => {
		const lines = two(uuid());
		const { status, body } = await preview({ lines: [...lines, ...lines] });
		expect(status).toBe(422);
		expect(body.errors).toMatchObject([{ field: "lines[1].product_id" }]);
	});

	test("other callers than administrators", async () => {
		const body = { lines: two(uuid()) };
		expect((await shop.http("POST /api/carts/preview", {}, body)).status).toBe(401);
		expect((await shop.http("POST /api/carts/preview", shop.user(), body)).status).toBe(403);
	});
});
