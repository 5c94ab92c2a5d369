import { describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { summarizeProblem } from "../../test/support/problems.ts";
import { cartShop, home } from "./test/cart-shop.ts";

/** Enough connections for 20 requests at the same time, which wait for each other. */
const shop = cartShop({ DATABASE_POOL: "20" });

describe("opening a cart", () => {
	test("gives a guest a token, which is returned once and not stored", async () => {
		const response = await shop.http("POST /api/carts", {}, {});
		expect(response.status).toBe(201);
		const { token, ...cart } = response.body;
		expect(token).toMatch(/^[\w-]{22}$/);
		expect(response.headers.get("location")).toBe(`/api/carts/${cart.id}`);
		expect(cart).toMatchObject({
			status: "open",
			user_id: null,
			currency: "EUR",
			email: null,
			lines: [],
			adjustments: [],
			coupon_codes: [],
			shipping_method: null,
			shipping_methods: [],
			total_amount: 0,
			estimated: false,
			changes: [],
			problems: [],
			order_id: null,
		});
		expect((await shop.get(cart.id, { headers: { "Cart-Token": token } })).body).toEqual(cart);
		expect(JSON.stringify(await shop.row(cart.id))).not.toContain(token);
	});

	test("returns the open cart of an account, also to 20 concurrent requests", async () => {
		const user = shop.user();
		const responses = await Promise.all(
			Array.from({ length: 20 }, () => shop.http("POST /api/carts", user, {})),
		);
		expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([201]));
		expect(new Set(responses.map(({ body }) => body.id)).size).toBe(1);
		const [first] = responses;
		expect(first!.body).toMatchObject({ user_id: user.id });
		expect(first!.body.token).toBeUndefined();
		expect(await shop.open(user)).toMatchObject({ id: first!.body.id });
	});

	test("rejects an unknown currency", async () => {
		const response = await shop.http("POST /api/carts", {}, { currency: "EUX" });
		expect(summarizeProblem(response)).toEqual([
			422,
			"VALIDATION_ERROR",
			[["currency", "CURRENCY"]],
		]);
		expect((await shop.guest({ currency: "JPY" })).cart.currency).toBe("JPY");
	});
});

describe("access", () => {
	test("every request for a guest's cart requires its token", async () => {
		const { cart, headers } = await shop.guest();
		const path = `/api/carts/${cart.id}`;
		const product_id = shop.product();
		const requests: [string, object?][] = [
			[`GET ${path}`],
			[`PUT ${path}/lines/${product_id}`, { quantity: 1 }],
			[`PATCH ${path}`, { email: "a@example.com" }],
			[`POST ${path}/checkout`, { expected_total: 1 }],
			[`DELETE ${path}`],
		];
		const other = await shop.guest();
		for (const buyer of [{}, { headers: other.headers! }, shop.user()])
			for (const [request, body] of requests)
				expect((await shop.http(request, buyer, body)).body.code).toBe("CART_NOT_FOUND");
		for (const buyer of [{ headers: headers! }, { ...shop.user(), headers: headers! }])
			expect((await shop.get(cart.id, buyer)).status).toBe(200);
	});

	test("requires the account of a user's cart, or an administrator", async () => {
		const owner = shop.user();
		const { id } = await shop.open(owner);
		expect((await shop.get(id, owner)).status).toBe(200);
		expect((await shop.get(id, shop.asAdmin())).status).toBe(200);
		const { headers } = await shop.guest();
		for (const buyer of [{}, shop.user(), { headers: headers! }])
			expect((await shop.get(id, buyer)).body.code).toBe("CART_NOT_FOUND");
		expect((await shop.get(uuid(), shop.asAdmin())).body.code).toBe("CART_NOT_FOUND");
	});
});

describe("lines", () => {
	test("are added, changed and removed, and priced", async () => {
		const { cart, headers } = await shop.guest();
		const buyer = { headers: headers! };
		const [tea, cup] = [shop.product({ name: "Tea" }), shop.product({ price: 2.5 })];
		await shop.put(cart.id, buyer, tea, 2);
		shop.stock.set(cup, 7);
		const { body } = await shop.put(cart.id, buyer, cup, 3);
		expect(body.lines).toEqual([
			{
				product_id: tea,
				name: "Tea",
				options: null,
				quantity: 2,
				unit_price: 10,
				subtotal: 20,
				discount: 0,
				tax: 0,
				total: 20,
				available: 100,
			},
			expect.objectContaining({ product_id: cup, subtotal: 7.5, available: 7 }),
		]);
		expect(body).toMatchObject({ subtotal: 27.5, total_amount: 27.5, changes: [] });
		expect((await shop.put(cart.id, buyer, tea, 5)).body.subtotal).toBe(57.5);
		const removed = await shop.put(cart.id, buyer, tea, 0);
		expect(removed.body.lines).toHaveLength(1);
		expect((await shop.put(cart.id, buyer, tea, 0)).status).toBe(200);
	});

	test("reject unknown products, parents, other currencies and invalid quantities", async () => {
		const { cart, headers } = await shop.guest();
		const put = (product: string, quantity = 1) =>
			shop.put(cart.id, { headers: headers! }, product, quantity);
		await put(shop.product());
		const parent = shop.product({ variant_count: 2 });
		expect((await put(parent)).body).toMatchObject({
			code: "CHOOSE_VARIANT",
			product_id: parent,
			variants: [{ id: expect.any(String), options: { size: "M" } }],
		});
		expect((await put(uuid())).body).toMatchObject({ status: 404, code: "PRODUCT_NOT_FOUND" });
		expect((await put(shop.product({ currency: "USD" }))).body).toMatchObject({
			status: 409,
			code: "MIXED_CURRENCIES",
		});
		for (const quantity of [-1, 1001, 1.5])
			expect((await put(shop.product(), quantity)).status).toBe(422);
		expect((await shop.get(cart.id, { headers: headers! })).body.lines).toHaveLength(1);
	});

	test("of a new or emptied cart decide its currency", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		const book = shop.product({ currency: "JPY", price: 500 });
		const { body } = await shop.put(id, user, book, 2);
		expect(body).toMatchObject({ currency: "JPY", total_amount: 1000 });
		expect((await shop.put(id, user, shop.product(), 1)).body.code).toBe("MIXED_CURRENCIES");
		expect((await shop.put(id, user, book, 0)).body).toMatchObject({ currency: "EUR", lines: [] });
		const usd = await shop.put(id, user, shop.product({ currency: "USD" }), 1);
		expect(usd.body).toMatchObject({ currency: "USD", total_amount: 10 });
	});

	test("have the currency that the buyer has chosen, also in an emptied cart", async () => {
		const { cart, headers } = await shop.guest({ currency: "USD" });
		const put = (product_id: string, quantity: number) =>
			shop.put(cart.id, { headers: headers! }, product_id, quantity);
		const book = shop.product({ currency: "USD" });
		for (const quantity of [1, 0]) expect((await put(book, quantity)).body.currency).toBe("USD");
		expect((await put(shop.product(), 1)).body.code).toBe("MIXED_CURRENCIES");
	});

	test("are limited to 100 products and the largest amount", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		for (let i = 0; i < 100; i++)
			expect((await shop.put(id, user, shop.product(), 1)).status).toBe(200);
		expect((await shop.put(id, user, shop.product(), 1)).body.code).toBe("CART_FULL");

		const other = shop.user();
		const cart = await shop.open(other);
		const yacht = shop.product({ price: 9_999_999_999 });
		expect((await shop.put(cart.id, other, yacht, 1)).body.total_amount).toBe(9_999_999_999);
		expect((await shop.put(cart.id, other, yacht, 2)).body.code).toBe("ORDER_TOO_LARGE");
		expect((await shop.get(cart.id, other)).body.lines[0].quantity).toBe(1);

		const buyer = shop.user();
		const yen = await shop.open(buyer);
		const tower = shop.product({ price: 5_000_000_000, currency: "JPY" });
		expect((await shop.put(yen.id, buyer, tower, 2)).body.code).toBe("ORDER_TOO_LARGE");
	});

	test("take all of 80 concurrent changes", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		const products = Array.from({ length: 80 }, () => shop.product());
		const responses = await Promise.all(products.map((product) => shop.put(id, user, product, 1)));
		expect(responses.map(({ status }) => status)).toEqual(products.map(() => 200));
		expect((await shop.get(id, user)).body.lines).toHaveLength(80);
	});
});

describe("the entity tag", () => {
	test("lets one of 10 concurrent changes of the same version take effect", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		const tag = (await shop.get(id, user)).headers.get("etag")!;
		const products = Array.from({ length: 10 }, () => shop.product());
		const responses = await Promise.all(
			products.map((product) => shop.put(id, user, product, 1, { "if-match": tag })),
		);
		const statuses = responses.map(({ status }) => status).sort();
		expect(statuses).toEqual([200, ...Array(9).fill(412)]);
		expect((await shop.get(id, user)).body.lines).toHaveLength(1);
	});

	test("of a change allows the next one, of an older version none", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		const first = await shop.put(id, user, shop.product(), 1);
		const tag = first.headers.get("etag")!;
		const second = await shop.patch(id, user, { email: "a@example.com" }, { "if-match": tag });
		expect(second.status).toBe(200);
		for (const stale of [tag, `W/${second.headers.get("etag")}`, '"nonsense"']) {
			const refused = await shop.http(`DELETE /api/carts/${id}`, user, undefined, {
				"if-match": stale,
			});
			expect(refused.body.code).toBe("PRECONDITION_FAILED");
		}
		expect((await shop.patch(id, user, { email: null }, { "if-match": "*" })).status).toBe(200);
	});

	test("changes with prices, which If-Match does not compare", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		const product = shop.product();
		await shop.put(id, user, product, 1);
		const tag = (await shop.get(id, user)).headers.get("etag")!;
		const conditional = { "if-none-match": tag };
		expect((await shop.http(`GET /api/carts/${id}`, user, undefined, conditional)).status).toBe(
			304,
		);
		await shop.change(product, { price: 11 });
		expect((await shop.http(`GET /api/carts/${id}`, user, undefined, conditional)).status).toBe(
			200,
		);
		expect((await shop.put(id, user, product, 2, { "if-match": tag })).status).toBe(200);
	});
});

describe("details", () => {
	test("are set, normalized and cleared", async () => {
		const { cart, headers } = await shop.guest();
		const buyer = { headers: headers! };
		await shop.put(cart.id, buyer, shop.product(), 1);
		const { body } = await shop.patch(cart.id, buyer, {
			email: " Jo@Example.com ",
			shipping_address: home,
			billing_address: { ...home, name: "Jo's Company" },
		});
		expect(body).toMatchObject({
			email: "jo@example.com",
			shipping_address: home,
			billing_address: { name: "Jo's Company" },
			problems: [],
		});
		const cleared = await shop.patch(cart.id, buyer, { email: null, billing_address: null });
		expect(cleared.body).toMatchObject({
			email: null,
			shipping_address: home,
			billing_address: null,
			problems: [{ code: "EMAIL_REQUIRED", product_id: null }],
		});
	});

	test("reject invalid addresses, an empty change and a method that does not exist", async () => {
		const user = shop.user();
		const { id } = await shop.open(user);
		await shop.put(id, user, shop.product(), 1);
		const before = (await shop.get(id, user)).body;
		const invalid = async (body: object) => summarizeProblem(await shop.patch(id, user, body));
		expect(await invalid({})).toEqual([422, "VALIDATION_ERROR", [["", "EMPTY"]]]);
		expect(await invalid({ shipping_address: { ...home, country: "XX" } })).toEqual([
			422,
			"VALIDATION_ERROR",
			[["shipping_address.country", "COUNTRY"]],
		]);
		expect(await invalid({ billing_address: { ...home, postal_code: "1" } })).toEqual([
			422,
			"VALIDATION_ERROR",
			[["billing_address.postal_code", "POSTAL_CODE"]],
		]);
		expect(await invalid({ shipping_method: "rocket" })).toEqual([
			409,
			"METHOD_UNAVAILABLE",
			undefined,
		]);
		expect((await shop.patch(id, user, { lines: [] })).status).toBe(422);
		expect((await shop.get(id, user)).body).toEqual(before);
	});
});

test("deletes an open cart", async () => {
	const { cart, headers } = await shop.guest();
	const buyer = { headers: headers! };
	expect((await shop.http(`DELETE /api/carts/${cart.id}`, buyer)).status).toBe(204);
	expect((await shop.get(cart.id, buyer)).status).toBe(404);
});
