import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
import { type AnyShop, START_MS } from "./shape.ts";

type Catalogue = Pick<AnyShop, "call" | "http" | "stop">;

export function catalogue(open: () => Promise<Catalogue>): void {
	let shop: Catalogue;
	let admin: Customer;
	let customer: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
		customer = await register(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const order = (product_id: string) =>
		shop.http("POST /api/orders", {
			token: customer.token,
			body: { items: [{ product_id, quantity: 1 }] },
		});

	test("a customer orders a variant, which remains in the order when it is removed", async () => {
		const parent = await makeProduct(shop, admin, { option_names: ["size"], name: "Shirt" });
		expect((await order(parent.id)).status).toBe(201);
		const create = (size: string) =>
			shop.http(`POST /api/products/${parent.id}/variants`, {
				token: admin.token,
				body: { options: { size }, stock: 5 },
			});
		const created = [await create("M"), await create("L")];
		expect(created.map(({ status }) => status)).toEqual([201, 201]);
		expect(await create("L")).toMatchObject({ status: 409, body: { code: "VARIANT_EXISTS" } });

		const variants = created.map(({ body: { id, options } }) => ({ id, options }));
		expect(await order(parent.id)).toMatchObject({
			status: 409,
			body: { code: "CHOOSE_VARIANT", product_id: parent.id, variants },
		});
		const placed = await order(variants[0]!.id);
		expect(placed).toMatchObject({
			status: 201,
			body: { status: "confirmed", items: [{ product_id: variants[0]!.id, name: "Shirt" }] },
		});

		const path = `/api/products/${parent.id}`;
		const found = await shop.http(`GET ${path}`);
		expect(found.body.variants).toEqual(created.map(({ body }) => body));
		const headers = { "if-match": found.headers.get("etag")! };
		const body = { price: 12 };
		const changed = await shop.http(`PATCH ${path}`, { token: admin.token, headers, body });
		expect(changed.body.variants).toMatchObject([{ price: 12 }, { price: 12 }]);
		expect(await shop.http(`PATCH ${path}`, { token: admin.token, headers, body })).toMatchObject({
			status: 412,
		});

		expect((await shop.http(`DELETE ${path}`, { token: admin.token })).status).toBe(204);
		expect((await shop.http(`GET /api/products/${variants[0]!.id}`)).status).toBe(404);
		expect((await order(variants[0]!.id)).body.code).toBe("PRODUCT_NOT_FOUND");
		const { body: kept } = await shop.http(`GET /api/orders/${placed.body.id}`, {
			token: customer.token,
		});
		expect(kept.items).toMatchObject([{ name: "Shirt", unit_price: 10, product: null }]);
	});

	test("a customer filters by attributes and categories, and finds them renamed", async () => {
		const category = `Branch ${customer.id}`;
		const create = (color: string, sub: string) =>
			makeProduct(shop, admin, { category: `${category}/${sub}`, attributes: { color } });
		const [red, blue] = [await create("red", "A"), await create("blue & green", "B")];
		const find = async (query: string) => {
			const { body } = await shop.http(
				`GET /api/products?category=${encodeURIComponent(category)}&${query}`,
			);
			return body.map(({ id }: { id: string }) => id);
		};
		expect(await find("attr.color=red")).toEqual([red.id]);
		expect(await find("attr.color=red&attr.color=blue%20%26%20green")).toEqual([red.id, blue.id]);
		expect(await find("attr.color=red&attr.size=M")).toEqual([]);
		expect(
			(await shop.http("GET /api/products?attr.color=&attr.size=")).body.length,
		).toBeGreaterThan(1);
		for (const query of [
			"attr=red",
			"attr.=red",
			"attr.__proto__=a",
			"attr.color=a&attr=b",
			"x.y=1",
		])
			expect((await shop.http(`GET /api/products?${query}`)).status).toBe(422);

		const facets = () =>
			shop.http(`GET /api/products/facets?category=${encodeURIComponent(category)}&attr.color=red`);
		expect((await facets()).body).toMatchObject({
			total: 1,
			price: { min: 10, max: 10 },
			attributes: {
				color: [
					{ value: "blue & green", count: 1 },
					{ value: "red", count: 1 },
				],
			},
		});
		const branch = async (name: string) =>
			(await shop.http("GET /api/categories")).body.find(
				(one: { name: string }) => one.name === name,
			);
		expect(await branch(category)).toMatchObject({
			count: 2,
			children: [{ name: "A", path: `${category}/A`, count: 1, children: [] }, { name: "B" }],
		});
		const renamed = await shop.http("POST /api/categories/rename", {
			token: admin.token,
			body: { from: category, to: `New ${category}` },
		});
		expect([renamed.status, renamed.body]).toEqual([200, { changed: 2 }]);
		expect(await branch(category)).toBeUndefined();
		expect(await branch(`New ${category}`)).toMatchObject({ count: 2 });
		expect((await facets()).body.total).toBe(0);
		expect((await shop.http(`GET /api/products/${red.id}`)).body.category).toBe(
			`New ${category}/A`,
		);
		const conflict = await shop.http("POST /api/categories/rename", {
			token: admin.token,
			body: { from: `New ${category}/A`, to: `New ${category}/B` },
		});
		expect([conflict.status, conflict.body.code]).toEqual([409, "CATEGORY_EXISTS"]);
	});
}
