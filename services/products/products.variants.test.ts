import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { etagOf } from "../../lib/contracts/etag.ts";
import { repeatWithoutConnection } from "../../test/support/outages.ts";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "../inventory/inventory.contract.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "inventory"] });
});
afterAll(() => shop?.stop());

const createParent = (over: object = {}) =>
	shop.call(
		"products.create",
		{ name: "Shirt", price: 20, category: "Clothes", option_names: ["size", "color"], ...over },
		asAdmin,
	);
const createVariant = (id: string, size: string, over: object = {}, meta: object = {}) =>
	shop.call(
		"products.createVariant",
		{ id, options: { size, color: "red" }, ...over },
		{ meta: { user: admin, ...meta } },
	);
const createInBurst = (...args: Parameters<typeof createVariant>) =>
	repeatWithoutConnection(() => createVariant(...args));
const update = (id: string, changes: object, meta: object = {}) =>
	shop.call("products.update", { id, ...changes }, { meta: { user: admin, ...meta } });
const remove = (id: string) => shop.call("products.remove", { id }, asAdmin);
const get = (id: string) => shop.call("products.get", { id });
/** Events of a product: the type, and the updated fields of an update. */
const eventsOf = async (id: string) =>
	(
		await shop.databases.query(
			"products",
			"select type, data from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type, data }) => data.updated_fields ?? type);
const facetsOf = async (id: string) =>
	(
		await shop.databases.query<{ facets: string[] }>(
			"products",
			"select facets from products where id = $1",
			[id],
		)
	)[0]!.facets.sort();
/** Fulfilled results, and how often each error occurred. */
async function settle<T>(calls: Promise<T>[]): Promise<{ done: T[]; errors: object }> {
	const outcomes = await Promise.allSettled(calls);
	const errors: Record<string, number> = {};
	const done: T[] = [];
	for (const outcome of outcomes) {
		if (outcome.status === "fulfilled") done.push(outcome.value);
		else errors[outcome.reason.type] = (errors[outcome.reason.type] ?? 0) + 1;
	}
	return { done, errors };
}

test("a variant inherits the fields that it does not define, and has its own stock", async () => {
	const parent = await createParent({
		description: "Cotton",
		attributes: { organic: true },
		images: [{ url: "/shirt.svg", alt: "Shirt" }],
	});
	const plain = await createVariant(parent.id, "M", { stock: 3, sku: "SHIRT-M" });
	const { id, created_at, updated_at, ...rest } = plain;
	expect(rest).toEqual({
		name: "Shirt",
		description: "Cotton",
		price: 20,
		currency: "EUR",
		category: "Clothes",
		attributes: { organic: true },
		images: [{ url: "/shirt.svg", alt: "Shirt" }],
		sku: "SHIRT-M",
		parent_id: parent.id,
		options: { size: "M", color: "red" },
		option_names: null,
		variant_count: 0,
	});
	expect(await shop.call("inventory.get", { product_id: id })).toMatchObject({ on_hand: 3 });
	const own = { name: "Large shirt", price: 25, description: null, attributes: {} };
	const large = await createVariant(parent.id, "L", own);
	expect(large).toMatchObject({ ...own, images: parent.images, sku: null });

	expect(await get(parent.id)).toEqual({ ...parent, variant_count: 2, variants: [plain, large] });
	expect(await get(id)).toEqual({ ...plain, variants: [] });
	expect(await shop.call("products.variants", { id: parent.id })).toEqual([plain, large]);
	expect(await shop.call("products.resolve", { ids: [id, parent.id] })).toEqual([
		plain,
		{ ...parent, variant_count: 2 },
	]);
	expect(await eventsOf(id)).toEqual(["product.created"]);
	const [event] = await shop.databases.query(
		"products",
		"select data from outbox where subject = $1",
		[id],
	);
	expect(event!.data).toEqual({ product_id: id, parent_id: parent.id });
});

test("a variant inherits a field again", async () => {
	const parent = await createParent({ description: "Cotton" });
	const own = { price: 25, name: "Large shirt", description: "Cotton" };
	const { id } = await createVariant(parent.id, "L", own);
	const inherit = ["price", "description"];
	expect(await update(id, { inherit, sku: "SHIRT-L" })).toMatchObject({
		price: 20,
		name: "Large shirt",
		description: "Cotton",
		sku: "SHIRT-L",
	});
	expect(await eventsOf(id)).toEqual(["product.created", ["sku", "price"]]);
	// The description is equal to that of the parent, so nothing but the inheritance changed.
	const other = await createVariant(parent.id, "M", { description: "Cotton" });
	await update(other.id, { inherit: ["description"] });
	expect(await eventsOf(other.id)).toEqual(["product.created"]);

	await update(parent.id, { price: 22, currency: "USD", description: "Wool", name: "Tee" });
	expect(await get(id)).toMatchObject({
		...{ price: 22, currency: "USD", description: "Wool", name: "Large shirt" },
	});
	expect(await get(other.id)).toMatchObject({ description: "Wool" });
});

test.each([
	["a product without parent", {}, false],
	["a field that the request sets", { name: "Large" }, true],
	["a price whose currency the request sets", { currency: "USD" }, true],
])("inheriting is rejected for %s", async (_, fields, isVariant) => {
	const parent = await createParent();
	const { id } = await createVariant(parent.id, "L", { name: "Large shirt" });
	const before = await get(isVariant ? id : parent.id);
	await expect(update(before.id, { ...fields, inherit: ["price", "name"] })).rejects.toMatchObject({
		code: 422,
		data: { errors: [{ field: "inherit", code: "INHERIT" }] },
	});
	expect(await get(before.id)).toEqual(before);
});

test("one of 50 concurrent variants gets its options", async () => {
	const { id } = await createParent();
	const same = await settle(
		Array.from({ length: 50 }, (_, i) =>
			createInBurst(id, "M", {
				options: i % 2 ? { size: "M", color: "red" } : { color: "red", size: "M" },
			}),
		),
	);
	expect([same.done.length, same.errors]).toEqual([1, { VARIANT_EXISTS: 49 }]);
	const different = await settle(
		Array.from({ length: 50 }, (_, i) => createInBurst(id, `S${i >> 1}`)),
	);
	expect([different.done.length, different.errors]).toEqual([25, { VARIANT_EXISTS: 25 }]);
	const { variants, variant_count } = await get(id);
	expect([variants.length, variant_count]).toEqual([26, 26]);
});

test("one of several concurrent variants gets a SKU, and no other product has it", async () => {
	const { id } = await createParent();
	const { done, errors } = await settle(
		Array.from({ length: 8 }, (_, i) => createVariant(id, `${i}`, { sku: "VAR-ONE" })),
	);
	expect([done.length, errors]).toEqual([1, { SKU_TAKEN: 7 }]);
	await expect(createParent({ sku: "VAR-ONE" })).rejects.toMatchObject({ type: "SKU_TAKEN" });
});

test("a product has at most 100 variants", async () => {
	const { id } = await createParent();
	const { done, errors } = await settle(
		Array.from({ length: 103 }, (_, i) => createInBurst(id, `${i}`)),
	);
	expect([done.length, errors]).toEqual([100, { TOO_MANY_VARIANTS: 3 }]);
	expect((await get(id)).variants.map(({ id }) => id)).toEqual(done.map(({ id }) => id).sort());
	await remove(done[0]!.id);
	expect(await createVariant(id, "new")).toMatchObject({ parent_id: id });
});

test("rejects options that do not match the option names", async () => {
	const [parent, single] = [await createParent(), await createParent({ option_names: null })];
	const variant = await createVariant(parent.id, "M");
	for (const options of [
		{},
		{ size: "L" },
		{ size: "L", color: "red", fit: "slim" },
		{ size: "L", colour: "red" },
		{ size: "L", color: "" },
		{ size: "L", color: 1 },
		{ size: "L", color: "x".repeat(61) },
	]) {
		await expect(createVariant(parent.id, "", { options })).rejects.toMatchObject({ code: 422 });
		await expect(update(variant.id, { options })).rejects.toMatchObject({ code: 422 });
	}
	for (const id of [single.id, variant.id])
		await expect(createVariant(id, "M")).rejects.toMatchObject({
			code: 422,
			data: { errors: [{ field: "options" }] },
		});
	await expect(update(parent.id, { options: { size: "M" } })).rejects.toMatchObject({ code: 422 });
	await expect(update(variant.id, { option_names: ["a"] })).rejects.toMatchObject({ code: 422 });
	await expect(createVariant(parent.id, "L", { price: 0.001 })).rejects.toMatchObject({
		code: 422,
	});
	await expect(createVariant(uuid(), "L")).rejects.toMatchObject({ type: "PRODUCT_NOT_FOUND" });
	expect((await get(parent.id)).variants).toHaveLength(1);
});

test("variants follow the fields of their parent that they do not define", async () => {
	const { id } = await createParent({ description: "Old" });
	const [plain, priced] = [
		await createVariant(id, "M"),
		await createVariant(id, "L", { price: 30, name: "Large" }),
	];
	// Fills the caches.
	await shop.call("products.resolve", { ids: [id, plain.id, priced.id] });
	await get(id);
	const after = await update(id, { name: "Blouse", price: 21, category: "Tops" });
	expect(after.variants).toMatchObject([
		{ name: "Blouse", price: 21, category: "Tops", description: "Old" },
		{ name: "Large", price: 30, category: "Tops" },
	]);
	expect(await get(id)).toEqual(after);
	expect(await get(plain.id)).toEqual({ ...after.variants[0], variants: [] });
	expect(await shop.call("products.resolve", { ids: [plain.id, priced.id] })).toEqual(
		after.variants,
	);
	expect(await eventsOf(plain.id)).toEqual(["product.created", ["name", "price", "category"]]);
	expect(await eventsOf(priced.id)).toEqual(["product.created", ["category"]]);

	// A changed field of a variant is its own from then on; an equal value is no change.
	expect(await update(plain.id, { name: "Fine blouse", price: 21 })).toMatchObject({
		name: "Fine blouse",
	});
	const last = await update(id, { name: "Top", price: 22, description: null, sku: "TOP-1" });
	expect(last.variants).toMatchObject([
		{ name: "Fine blouse", price: 22, description: null, sku: null },
		{ name: "Large", price: 30, description: null, sku: null },
	]);
	expect(await eventsOf(plain.id)).toEqual([
		"product.created",
		["name", "price", "category"],
		["name"],
		["description", "price"],
	]);
});

test("a variant with its own price keeps its currency", async () => {
	const { id } = await createParent();
	const [priced, plain] = [
		await createVariant(id, "M", { price: 20.5 }),
		await createVariant(id, "L"),
	];
	await update(id, { price: 3000, currency: "JPY" });
	expect(await get(priced.id)).toMatchObject({ price: 20.5, currency: "EUR" });
	expect(await get(plain.id)).toMatchObject({ price: 3000, currency: "JPY" });
});

test("concurrent changes of a parent, its variants and new variants are all kept", async () => {
	for (let round = 0; round < 5; round++) {
		const { id } = await createParent();
		const variant = await createVariant(id, "0");
		await Promise.all([
			update(id, { name: "After" }),
			update(variant.id, { price: 1 }),
			createVariant(id, "1"),
			update(id, { price: 50 }),
			createVariant(id, "2"),
			update(variant.id, { sku: `CON-${round}` }),
		]);
		const { variants, ...parent } = await get(id);
		expect(parent).toMatchObject({ name: "After", price: 50, variant_count: 3 });
		expect(variants.map(({ name, price }) => [name, price])).toEqual([
			["After", 1],
			["After", 50],
			["After", 50],
		]);
		expect(variants[0]!.sku).toBe(`CON-${round}`);
		const ids = variants.map((one) => one.id);
		expect(await shop.call("products.resolve", { ids })).toEqual(variants);
	}
});

test("the options of a variant can change, but not to those of another", async () => {
	const { id } = await createParent();
	const [medium, large] = [await createVariant(id, "M"), await createVariant(id, "L")];
	await expect(update(large.id, { options: medium.options })).rejects.toMatchObject({
		type: "VARIANT_EXISTS",
		code: 409,
	});
	const options = { size: "XL", color: "red" };
	expect(await update(large.id, { options })).toMatchObject({ options });
	expect(await eventsOf(large.id)).toEqual(["product.created", ["options"]]);
	expect(await facetsOf(id)).toEqual(["color=red", "size=M", "size=XL"]);
});

test("option names can change only while there are no variants", async () => {
	const { id } = await createParent();
	const variant = await createVariant(id, "M");
	for (const option_names of [["size"], null])
		await expect(update(id, { option_names })).rejects.toMatchObject({
			type: "HAS_VARIANTS",
			code: 409,
		});
	expect(await update(id, { option_names: ["size", "color"], price: 5 })).toMatchObject({
		price: 5,
	});
	await remove(variant.id);
	expect(await update(id, { option_names: null })).toMatchObject({ option_names: null });
});

test("the facet values of a parent include those of its variants", async () => {
	const { id } = await createParent({ attributes: { organic: true } });
	const medium = await createVariant(id, "M", { attributes: { fit: ["slim", "short"] } });
	await createVariant(id, "L");
	const all = ["color=red", "fit=short", "fit=slim", "organic=true", "size=L", "size=M"];
	expect(await facetsOf(id)).toEqual(all);
	await update(id, { attributes: { organic: false } });
	const withoutOldValue = all.map((value) => value.replace("organic=true", "organic=false"));
	expect(await facetsOf(id)).toEqual(withoutOldValue);
	await update(medium.id, { attributes: { fit: "wide" } });
	expect(await facetsOf(id)).toEqual([
		"color=red",
		"fit=wide",
		"organic=false",
		"size=L",
		"size=M",
	]);
	await remove(medium.id);
	expect(await facetsOf(id)).toEqual(["color=red", "organic=false", "size=L"]);
});

test("removing a parent removes its variants, and frees their options and SKUs", async () => {
	const { id } = await createParent({ sku: "GONE" });
	const variants = [await createVariant(id, "M", { sku: "GONE-M" }), await createVariant(id, "L")];
	await remove(variants[1]!.id);
	expect(await get(id)).toMatchObject({ variant_count: 1, variants: [{ id: variants[0]!.id }] });
	await createVariant(id, "L");
	const racing = createVariant(id, "XL").catch((error) => error);
	await remove(id);
	const late = await racing;
	for (const one of [id, variants[0]!.id, variants[1]!.id, late.id].filter(Boolean))
		await expect(get(one)).rejects.toMatchObject({ type: "PRODUCT_NOT_FOUND" });
	expect(await eventsOf(variants[0]!.id)).toEqual(["product.created", "product.removed"]);
	expect(await eventsOf(variants[1]!.id)).toEqual(["product.created", "product.removed"]);
	expect(await eventsOf(id)).toEqual(["product.created", "product.removed"]);
	await expect(createVariant(id, "S")).rejects.toMatchObject({ type: "PRODUCT_NOT_FOUND" });
	await createParent({ sku: "GONE-M" });
});

test("lists contain parents and stand-alone products, but no variants", async () => {
	const category = `Listed ${uuid()}`;
	const parent = await createParent({ category, name: "Quetzal parent" });
	const single = await createParent({ category, name: "Quetzal", option_names: null });
	await createVariant(parent.id, "M", { name: "Quetzal variant" });
	for (const query of [{ category }, { q: "quetzal" }, { category, sort: "name" as const }]) {
		const { rows, total } = await shop.call("products.list", query);
		expect(rows.map(({ id }) => id).sort()).toEqual([parent.id, single.id].sort());
		expect(total).toBe(2);
	}
});

test("If-Match compares the entity tag of the product with its variants", async () => {
	const { id } = await createParent();
	const before = etagOf(await get(id));
	const variant = await createVariant(id, "M");
	const failed = { type: "PRECONDITION_FAILED" };
	await expect(update(id, { price: 1 }, { if_match: before })).rejects.toMatchObject(failed);
	const after = await update(id, { price: 2 }, { if_match: etagOf(await get(id)) });
	expect(etagOf(await get(id))).toBe(etagOf(after));
	await expect(
		update(variant.id, { price: 3 }, { if_match: etagOf(await get(variant.id)) }),
	).resolves.toMatchObject({ price: 3 });
});

test("a repeated request with the same key creates one variant", async () => {
	const { id } = await createParent();
	const key = { idempotency_key: uuid() };
	const first = await createVariant(id, "M", {}, key);
	expect(await createVariant(id, "M", {}, key)).toEqual(first);
	await expect(createVariant(id, "L", {}, key)).rejects.toMatchObject({
		type: "IDEMPOTENCY_KEY_REUSED",
	});
	expect((await get(id)).variants).toHaveLength(1);
});

test("only an administrator creates variants", async () => {
	const { id } = await createParent();
	const params = { id, options: { size: "M", color: "red" } };
	await expect(shop.call("products.createVariant", params)).rejects.toMatchObject({ code: 401 });
	const user = { ...admin!, role: "user" as const };
	await expect(
		shop.call("products.createVariant", params, { meta: { user } }),
	).rejects.toMatchObject({ code: 403 });
});
