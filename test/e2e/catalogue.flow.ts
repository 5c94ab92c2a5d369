import { expect, test } from "@jest/globals";
import {
	type Customer,
	makeProduct,
	orderRequest,
	register,
	untilSettled,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { type AnyShop, useShop } from "./shape.ts";

type Catalogue = Pick<AnyShop, "call" | "http" | "stop">;

export function catalogue(open: () => Promise<Catalogue>): void {
	let shop: Catalogue;
	let admin: Customer;
	let customer: Customer;
	useShop(open, async (...started) => {
		[shop, admin] = started;
		customer = await register(shop);
	});

	const order = (id: string) =>
		untilSettled((idempotencyKey) =>
			clientOf(shop, customer)
				.orders.create(orderRequest({ id }), { idempotencyKey })
				.withResponse(),
		);

	test("a customer orders a variant, which remains in the order when it is removed", async () => {
		const parent = await makeProduct(shop, admin, { option_names: ["size"], name: "Shirt" });
		const { id } = parent;
		expect((await order(id)).status).toBe(201);
		const { products } = clientOf(shop, admin);
		const create = (size: string) =>
			products.createVariant({ id, options: { size }, stock: 5 }).withResponse();
		const created = [await create("M"), await create("L")];
		expect(created.map(({ status }) => status)).toEqual([201, 201]);
		expect(await problemOf(create("L"))).toMatchObject({ status: 409, code: "VARIANT_EXISTS" });

		const variants = created.map(({ value: { id, options } }) => ({ id, options }));
		expect(await problemOf(order(id))).toMatchObject({
			status: 409,
			code: "CHOOSE_VARIANT",
			data: { product_id: id, variants },
		});
		const placed = await order(variants[0]!.id);
		expect(placed).toMatchObject({
			status: 201,
			value: { status: "confirmed", items: [{ product_id: variants[0]!.id, name: "Shirt" }] },
		});

		const found = await clientOf(shop).products.get({ id }).withResponse();
		expect(found.value.variants).toEqual(created.map(({ value }) => value));
		const change = () => products.update({ id, price: 12 }, { ifMatch: found.etag! });
		expect((await change()).variants).toMatchObject([{ price: 12 }, { price: 12 }]);
		expect(await problemOf(change())).toMatchObject({ status: 412 });

		expect((await products.remove({ id }).withResponse()).status).toBe(204);
		const removed = clientOf(shop).products.get({ id: variants[0]!.id });
		expect(await problemOf(removed)).toMatchObject({ status: 404 });
		expect((await problemOf(order(variants[0]!.id))).code).toBe("PRODUCT_NOT_FOUND");
		const kept = await clientOf(shop, customer).orders.get({ id: placed.value.id });
		const product = { id: variants[0]!.id, options: { size: "M" }, price: 12 };
		expect(kept.items).toMatchObject([{ name: "Shirt", unit_price: 10, product }]);
	});

	test("a customer filters by attributes and categories, and finds them renamed", async () => {
		const category = `Branch ${customer.id}`;
		const create = (color: string, sub: string) =>
			makeProduct(shop, admin, { category: `${category}/${sub}`, attributes: { color } });
		const [red, blue] = [await create("red", "A"), await create("blue & green", "B")];
		const { products } = clientOf(shop);
		const find = async (attr: Record<string, string[]>) =>
			(await products.list({ category, attr })).map(({ id }) => id);
		expect(await find({ color: ["red"] })).toEqual([red.id]);
		expect(await find({ color: ["red", "blue & green"] })).toEqual([red.id, blue.id]);
		expect(await find({ color: ["red"], size: ["M"] })).toEqual([]);
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

		const facets = () => products.facets({ category, attr: { color: ["red"] } });
		expect(await facets()).toMatchObject({
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
			(await products.categories()).find((one) => one.name === name);
		expect(await branch(category)).toMatchObject({
			count: 2,
			children: [{ name: "A", path: `${category}/A`, count: 1, children: [] }, { name: "B" }],
		});
		const rename = (from: string, to: string) =>
			clientOf(shop, admin).products.renameCategory({ from, to }).withResponse();
		const renamed = await rename(category, `New ${category}`);
		expect([renamed.status, renamed.value]).toEqual([200, { changed: 2 }]);
		expect(await branch(category)).toBeUndefined();
		expect(await branch(`New ${category}`)).toMatchObject({ count: 2 });
		expect((await facets()).total).toBe(0);
		expect((await products.get({ id: red.id })).category).toBe(`New ${category}/A`);
		const conflict = await problemOf(rename(`New ${category}/A`, `New ${category}/B`));
		expect([conflict.status, conflict.code]).toEqual([409, "CATEGORY_EXISTS"]);
	});
}
