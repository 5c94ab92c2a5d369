import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { catalogue } from "../../scripts/demo-catalogue.ts";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "../inventory/inventory.contract.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "inventory"] });
});
afterAll(() => shop?.stop());

const create = (over: object = {}) =>
	shop.call(
		"products.create",
		{ name: "A thing", price: 9.99, category: "Things", ...over },
		asAdmin,
	);
const update = (id: string, changes: object) =>
	shop.call("products.update", { id, ...changes }, asAdmin);
const remove = (id: string) => shop.call("products.remove", { id }, asAdmin);
const eventsOf = (id: string) =>
	shop.databases.query(
		"products",
		"select type, data from outbox where subject = $1 order by xid, seq",
		[id],
	);
/** Number of rows, including removed products. */
const countRows = async () =>
	(await shop.databases.query("products", "select count(*) from products"))[0]!.count;

test("creates a product with its stock record and publishes an event", async () => {
	const created = await create({
		name: "  Cup ",
		price: 0.1,
		description: "For tea",
		sku: "CUP-1",
		stock: 7,
	});
	expect(created).toMatchObject({
		name: "Cup",
		price: 0.1,
		currency: "EUR",
		description: "For tea",
		sku: "CUP-1",
	});
	expect(await shop.call("products.get", { id: created.id })).toEqual({
		...created,
		variants: [],
	});
	expect(await shop.call("inventory.get", { product_id: created.id })).toMatchObject({
		on_hand: 7,
		available: 7,
	});
	expect(await eventsOf(created.id)).toEqual([
		{ type: "product.created", data: { product_id: created.id } },
	]);
});

test("prices are exact to the minor unit, from zero to the maximum", async () => {
	for (const [price, currency] of [
		...[0, 0.07, 1.1, 19.99, 1234567.89, 9_999_999_999.99].map((price) => [price, "EUR"] as const),
		...[0.001, 1.005, 9_999_999_999.989].map((price) => [price, "BHD"] as const),
		[9_999_999_999, "JPY"],
	] as const) {
		const { id } = await create({ price, currency });
		expect((await shop.call("products.get", { id })).price).toBe(price);
		expect((await shop.call("products.resolve", { ids: [id] }))[0]!.price).toBe(price);
	}
});

test("rejects an unknown currency and a price with more decimals than its currency", async () => {
	const [yen, euros] = [
		await create({ currency: "JPY", price: 150 }),
		await create({ price: 1.5 }),
	];
	expect(yen).toMatchObject({ currency: "JPY", price: 150 });
	const invalid = (field: string) => ({
		code: 422,
		data: { errors: [expect.objectContaining({ field })] },
	});
	await expect(update(yen.id, { price: 1.5 })).rejects.toMatchObject(invalid("price"));
	await expect(update(euros.id, { currency: "JPY" })).rejects.toMatchObject(invalid("price"));
	await expect(update(euros.id, { currency: "ZZZ" })).rejects.toMatchObject(invalid("currency"));
	expect(await update(euros.id, { currency: "JPY", price: 200 })).toMatchObject({
		currency: "JPY",
		price: 200,
	});
	const products = [{ name: "x", price: 0.5, category: "x", currency: "KRW", sku: "WON-1" }];
	await expect(shop.call("products.import", { products })).rejects.toMatchObject(invalid("price"));
	// Other fields of a product that is older than this rule can change.
	await shop.databases.query("products", "update products set currency = 'ZZZ' where id = $1", [
		yen.id,
	]);
	expect(await update(yen.id, { category: "Old" })).toMatchObject({
		currency: "ZZZ",
		category: "Old",
	});
});

test("concurrent changes of price and currency leave a price that fits its currency", async () => {
	for (let round = 0; round < 10; round++) {
		const { id } = await create({ price: 100, currency: "EUR" });
		const outcomes = await Promise.allSettled([
			update(id, { price: 1.5 }),
			update(id, { currency: "JPY" }),
		]);
		expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
		const { price, currency } = await shop.call("products.get", { id });
		expect(["1.5 EUR", "100 JPY"]).toContain(`${price} ${currency}`);
	}
});

test("prices with three decimals are filtered and sorted exactly", async () => {
	const category = `Gold ${uuid()}`;
	for (const price of [1.005, 1.1, 1.004, 1.0]) await create({ category, price, currency: "BHD" });
	const prices = async (over: object) =>
		(await shop.call("products.list", { category, sort: "price", ...over })).rows.map(
			({ price }) => price,
		);
	expect(await prices({})).toEqual([1, 1.004, 1.005, 1.1]);
	expect(await prices({ min_price: 1.0041, max_price: 1.1 })).toEqual([1.005, 1.1]);
	const { rows } = await shop.call("products.list", { category, sort: "price", limit: 2 });
	expect(await prices({ after: rows[1]!.id })).toEqual([1.005, 1.1]);
});

test("description and SKU are optional, and several products may have no SKU", async () => {
	const [a, b] = [await create({ description: null, sku: null }), await create()];
	for (const created of [a, b]) expect(created).toMatchObject({ description: null, sku: null });
});

test("rejects an invalid product and writes nothing", async () => {
	const before = await countRows();
	const wrong = [
		{ name: " " },
		{ name: "a\0b" },
		{ name: "a\ud83d" },
		{ name: "x".repeat(256) },
		{ price: -0.01 },
		{ price: 9.999 },
		{ price: "9.99" },
		{ price: 10_000_000_000 },
		{ category: "" },
		{ currency: "eur" },
		{ currency: "ZZZ" },
		{ currency: "JPY", price: 1.5 },
		{ currency: "BHD", price: 1.0005 },
		{ sku: "a b" },
		{ stock: 1.5 },
		{ stock: -1 },
		{ id: uuid() },
	];
	for (const over of wrong) await expect(create(over)).rejects.toMatchObject({ code: 422 });
	expect(await countRows()).toBe(before);
});

test("one of several concurrent products gets a SKU, which its removal frees", async () => {
	const outcomes = await Promise.allSettled(
		Array.from({ length: 8 }, () => create({ sku: "ONE-1" })),
	);
	const created = outcomes.flatMap((outcome) =>
		outcome.status === "fulfilled" ? [outcome.value] : [],
	);
	const refused = outcomes.flatMap((outcome) =>
		outcome.status === "rejected" ? [outcome.reason.type] : [],
	);
	expect([created.length, refused]).toEqual([1, Array(7).fill("SKU_TAKEN")]);
	await expect(create({ sku: "ONE-1" })).rejects.toMatchObject({ type: "SKU_TAKEN", code: 409 });
	const other = await create();
	await expect(update(other.id, { sku: "ONE-1" })).rejects.toMatchObject({ type: "SKU_TAKEN" });
	await remove(created[0]!.id);
	expect(await update(other.id, { sku: "ONE-1" })).toMatchObject({ sku: "ONE-1" });
});

test("an update writes the given fields and publishes those that changed", async () => {
	const created = await create({ description: "Old", sku: "CHG-1" });
	const after = await update(created.id, { name: created.name, price: 10.01, description: null });
	expect(after).toEqual({
		...created,
		variants: [],
		price: 10.01,
		description: null,
		updated_at: expect.any(String),
	});
	// Postgres compares microseconds; on the wire both times may be in one millisecond.
	expect(
		await shop.databases.query(
			"products",
			"select updated_at > created_at as later from products where id = $1",
			[created.id],
		),
	).toEqual([{ later: true }]);
	expect(await update(created.id, { price: 10.01 })).toEqual(after);
	const [, ...updates] = await eventsOf(created.id);
	expect(updates).toEqual([
		{
			type: "product.updated",
			data: { product_id: created.id, updated_fields: ["price", "description"] },
		},
	]);
});

test("concurrent updates of different fields are all kept", async () => {
	const { id } = await create();
	await Promise.all([
		update(id, { name: "B" }),
		update(id, { price: 1 }),
		update(id, { category: "C" }),
		update(id, { sku: "SIM-1" }),
	]);
	expect(await shop.call("products.get", { id })).toMatchObject({
		name: "B",
		price: 1,
		category: "C",
		sku: "SIM-1",
	});
});

test("rejects an update without fields, with a null or of a read-only field", async () => {
	const { id } = await create();
	for (const changes of [
		{},
		{ name: null },
		{ price: null },
		{ created_at: "2020-01-01T00:00:00Z" },
		{ stock: 3 },
	])
		await expect(update(id, changes)).rejects.toMatchObject({ code: 422 });
	expect((await eventsOf(id)).length).toBe(1);
});

test("a product can be removed once and is then in no result", async () => {
	const { id } = await create({ category: "Removed" });
	const outcomes = await Promise.allSettled([remove(id), remove(id), remove(id)]);
	expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
	const gone = { type: "PRODUCT_NOT_FOUND", code: 404 };
	await expect(shop.call("products.get", { id })).rejects.toMatchObject(gone);
	await expect(update(id, { price: 1 })).rejects.toMatchObject(gone);
	await expect(remove(id)).rejects.toMatchObject(gone);
	expect(await shop.call("products.list", { category: "Removed" })).toEqual({ rows: [], total: 0 });
	expect(await shop.call("products.resolve", { ids: [id] })).toEqual([null]);
	expect((await eventsOf(id)).map(({ type }) => type)).toEqual([
		"product.created",
		"product.removed",
	]);
});

test("resolves products in the order of the IDs, and null for an unknown ID", async () => {
	const [a, b] = [await create(), await create()];
	expect(
		await shop.call("products.resolve", { ids: [b.id, uuid(), a.id.toUpperCase(), b.id] }),
	).toEqual([b, null, a, b]);
	expect(await shop.call("products.resolve", { ids: [] })).toEqual([]);
});

test("resolves removed products only on request, and never caches them", async () => {
	const [kept, gone] = [await create(), await create()];
	await remove(gone.id);
	const ids = [gone.id, uuid(), kept.id, gone.id];
	const resolve = (params: object = {}) => shop.call("products.resolve", { ids, ...params });
	for (const _time of ["loaded", "cached"]) {
		const found = await resolve({ include_removed: true });
		expect(found).toEqual([gone, null, kept, gone]);
		expect(await resolve()).toEqual([null, null, kept, null]);
		expect(await resolve({ include_removed: false })).toEqual([null, null, kept, null]);
	}
});

test("only an administrator changes the catalogue", async () => {
	const asUser = { meta: { user: { ...admin, role: "user" } } };
	const { id } = await create();
	await expect(
		shop.call("products.create", { name: "x", price: 1, category: "x" }),
	).rejects.toMatchObject({ code: 401 });
	await expect(shop.call("products.update", { id, price: 1 }, asUser)).rejects.toMatchObject({
		code: 403,
	});
	await expect(shop.call("products.remove", { id }, asUser)).rejects.toMatchObject({ code: 403 });
	expect(await shop.call("products.get", { id })).toMatchObject({ price: 9.99 });
});

test("imports the demo catalogue once, with its stock, and no removed product", async () => {
	expect(await shop.call("products.import", { products: [...catalogue, catalogue[0]!] })).toEqual({
		imported: 63,
	});
	const { rows: kitchen, total } = await shop.call("products.list", { category: "Kitchen" });
	expect(kitchen.map(({ name }) => name)).toEqual(
		catalogue.filter(({ category }) => category.startsWith("Kitchen/")).map(({ name }) => name),
	);
	expect(total).toBe(10);
	expect(await shop.call("inventory.get", { product_id: kitchen[0]!.id })).toMatchObject({
		on_hand: catalogue[0]!.stock,
	});
	expect(await eventsOf(kitchen[9]!.id)).toMatchObject([{ type: "product.created" }]);
	await remove(kitchen[0]!.id);
	const extra = { name: "New", price: 1, category: "Kitchen", sku: "KIT-999" };
	expect(await shop.call("products.import", { products: [...catalogue, extra] })).toEqual({
		imported: 1,
	});
	expect(await shop.call("products.list", { category: "Kitchen" })).toMatchObject({ total: 10 });
	const { rows: shirts } = await shop.call("products.list", { category: "Clothes/Tops" });
	expect(shirts).toMatchObject([{ name: "Organic Cotton T-shirt", variant_count: 12 }]);
	const { variants } = await shop.call("products.get", { id: shirts[0]!.id });
	expect(variants[9]).toMatchObject({
		options: { size: "XL", color: "white" },
		sku: "CLO-001-XL-WHITE",
		price: 27.9,
		category: "Clothes/Tops/T-shirts",
	});
	expect(await shop.call("inventory.get", { product_id: variants[0]!.id })).toMatchObject({
		on_hand: 25,
	});
	expect(catalogue.filter(({ category }) => category.split("/").length !== 3)).toEqual([]);
});

test("creates nothing and reports the missing service when inventory is unavailable", async () => {
	const alone = await startShop({ services: ["products"] });
	try {
		const product = { name: "Lonely", price: 1, category: "Things", sku: "LONE-1" };
		const missing = { type: "SERVICE_NOT_FOUND" };
		await expect(alone.call("products.create", product, asAdmin)).rejects.toMatchObject(missing);
		await expect(alone.call("products.import", { products: [product] })).rejects.toMatchObject(
			missing,
		);
		expect(await alone.databases.query("products", "select from products")).toEqual([]);
		expect(await alone.databases.query("products", "select from outbox")).toEqual([]);
	} finally {
		await alone.stop();
	}
});
