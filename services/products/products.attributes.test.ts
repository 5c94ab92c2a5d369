import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { inventoryStub } from "../../test/support/gateway.ts";
import { asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
});
afterAll(() => shop?.stop());

const create = (over: object = {}) =>
	shop.call(
		"products.create",
		{ name: "A shirt", price: 9.99, category: "Clothes", ...over },
		asAdmin,
	);
const update = (id: string, changes: object) =>
	shop.call("products.update", { id, ...changes }, asAdmin);
const facetsOf = async (id: string) =>
	(
		await shop.databases.query<{ facets: string[] }>(
			"products",
			"select facets from products where id = $1",
			[id],
		)
	)[0]!.facets;

const attributes = {
	color: "red",
	Größe: ["M", "L"],
	weight: 0.25,
	organic: true,
	constructor: "-0",
	"thread count": "800",
};
const images = [
	{ url: "https://example.com/shirt.jpg", alt: "Front" },
	{ url: "/images/shirt.svg", alt: "" },
];

test("stores attributes of each type, images and option names", async () => {
	const created = await create({ attributes, images, option_names: ["size", "color"] });
	expect(created).toMatchObject({
		attributes,
		images,
		option_names: ["size", "color"],
		parent_id: null,
		options: null,
		variant_count: 0,
	});
	expect(await shop.call("products.get", { id: created.id })).toMatchObject(created);
	expect(await shop.call("products.resolve", { ids: [created.id] })).toEqual([created]);
	expect((await facetsOf(created.id)).sort()).toEqual(
		[
			"Größe=L",
			"Größe=M",
			"color=red",
			"constructor=-0",
			"organic=true",
			"thread count=800",
			"weight=0.25",
		].sort(),
	);
	expect(await create()).toMatchObject({ attributes: {}, images: [], option_names: null });
});

test("an image without a text has an empty one", async () => {
	const created = await create({ images: [{ url: "/a.svg" }] });
	expect(created.images).toEqual([{ url: "/a.svg", alt: "" }]);
});

test("an update replaces attributes and images, and ignores equal values", async () => {
	const created = await create({ attributes, images });
	const same = { attributes: Object.fromEntries(Object.entries(attributes).reverse()), images };
	expect(await update(created.id, same)).toEqual({ ...created, variants: [] });
	const changed = await update(created.id, {
		attributes: { color: "blue" },
		images: [],
		option_names: ["size"],
	});
	expect(changed).toMatchObject({
		attributes: { color: "blue" },
		images: [],
		option_names: ["size"],
	});
	expect(await facetsOf(created.id)).toEqual(["color=blue"]);
	expect((await update(created.id, { option_names: null })).option_names).toBeNull();
	const events = await shop.databases.query(
		"products",
		"select data from outbox where subject = $1 and type = 'product.updated' order by xid, seq",
		[created.id],
	);
	expect(events.map(({ data }) => data.updated_fields)).toEqual([
		["attributes", "images", "option_names"],
		["option_names"],
	]);
});

test("rejects invalid attributes, images and option names", async () => {
	const { id } = await create();
	const many = (count: number) =>
		Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, i]));
	for (const invalid of [
		{ attributes: { color: null } },
		{ attributes: { color: { red: 1 } } },
		{ attributes: { color: [] } },
		{ attributes: { color: [1] } },
		{ attributes: { color: "" } },
		{ attributes: { color: "x".repeat(201) } },
		{ attributes: { "a=b": "c" } },
		{ attributes: { " a": "c" } },
		{ attributes: { "a.b": "c" } },
		{ attributes: { ["a".repeat(41)]: "c" } },
		{ attributes: { "\ud83d": "c" } },
		{ attributes: JSON.parse('{"__proto__": "c"}') },
		{ attributes: many(51) },
		{ attributes: [] },
		{ images: Array(21).fill({ url: "/a.svg" }) },
		{ images: [{ url: "javascript:alert(1)" }] },
		{ images: [{ url: "/a|b.svg" }] },
		{ images: [{ url: "a.svg" }] },
		{ images: [{ alt: "No URL" }] },
		{ option_names: [] },
		{ option_names: ["size", "size"] },
		{ option_names: ["a", "b", "c", "d", "e", "f"] },
	]) {
		await expect(create(invalid)).rejects.toMatchObject({ code: 422 });
		await expect(update(id, invalid)).rejects.toMatchObject({ code: 422 });
	}
	expect(await create({ attributes: many(50) })).toMatchObject({ attributes: many(50) });
});

test("stores a category as a path, without spaces around its parts", async () => {
	const created = await create({ category: " Kitchen / Knives/Chef's " });
	expect(created.category).toBe("Kitchen/Knives/Chef's");
	expect((await update(created.id, { category: "Kitchen /Pots" })).category).toBe("Kitchen/Pots");
	for (const category of ["/", "Kitchen/", "/Kitchen", "Kitchen//Knives", "a/b/c/d/e/f/g/h/i"]) {
		await expect(create({ category })).rejects.toMatchObject({
			code: 422,
			data: { errors: [{ field: "category" }] },
		});
		await expect(update(created.id, { category })).rejects.toMatchObject({ code: 422 });
	}
});
