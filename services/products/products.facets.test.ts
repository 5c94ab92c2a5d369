import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { inventoryStub } from "../../test/support/gateway.ts";
import { asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";
import { countFacets, type Source } from "./products.facets.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
	for (const [name, price, category, attributes] of catalogue)
		await create({ name, price, category, attributes });
	const shirt = await create({
		name: "Polo",
		price: 30,
		category: "Clothes/Shirts",
		option_names: ["size", "color"],
	});
	for (const [size, color] of [
		["M", "red"],
		["L", "blue"],
	] as const)
		await shop.call("products.createVariant", { id: shirt.id, options: { size, color } }, asAdmin);
});
afterAll(() => shop?.stop());

const create = (product: object) => shop.call("products.create", product as never, asAdmin);

const catalogue: [name: string, price: number, category: string, attributes: object][] = [
	["Red shirt", 20, "Clothes/Shirts", { color: "red", size: ["M", "L"], organic: true }],
	["Blue shirt", 25, "Clothes/Shirts", { color: "blue", size: "M" }],
	["Red sock", 5, "Clothes/Socks", { color: "red", size: "S" }],
	[
		"Red mug",
		9.5,
		"Kitchen",
		{ color: "red", volume: 0.35, note: "50% = half, 'quoted' \\ $1 :x ?" },
	],
	["Plain", 1, "Kitchen", {}],
];
type Filters = Parameters<typeof list>[0];
const list = (query: {
	attr?: Record<string, string[]>;
	category?: string;
	q?: string;
	min_price?: number;
	max_price?: number;
}) => shop.call("products.list", query);
const names = async (query: Filters) => (await list(query)).rows.map(({ name }) => name).sort();
const facets = (query: Filters = {}) => shop.call("products.facets", query);
/** Values of an attribute with their counts, as `red 2`. */
const values = async (attribute: string, query: Filters = {}) =>
	(await facets(query)).attributes[attribute]?.map(({ value, count }) => `${value} ${count}`);

test("filters by one of the values of each attribute, including those of variants", async () => {
	expect(await names({ attr: { color: ["red"] } })).toEqual([
		"Polo",
		"Red mug",
		"Red shirt",
		"Red sock",
	]);
	expect(await names({ attr: { color: ["red", "blue"], size: ["M"] } })).toEqual([
		"Blue shirt",
		"Polo",
		"Red shirt",
	]);
	expect(await names({ attr: { color: ["blue"], size: ["S"] } })).toEqual([]);
	expect(await names({ attr: { organic: ["true"] } })).toEqual(["Red shirt"]);
	expect(await names({ attr: { volume: ["0.35"] } })).toEqual(["Red mug"]);
	expect(await names({ attr: { color: ["Red"] } })).toEqual([]);
	expect(await names({ attr: { color: ["red"] }, category: "clothes", max_price: 20 })).toEqual([
		"Red shirt",
		"Red sock",
	]);
	expect(await list({ attr: { color: ["red"] }, q: "mug" })).toMatchObject({
		total: 1,
		rows: [{ name: "Red mug" }],
	});
});

test("a value is compared as text, not as SQL or a pattern", async () => {
	expect(await names({ attr: { note: ["50% = half, 'quoted' \\ $1 :x ?"] } })).toEqual(["Red mug"]);
	for (const value of ["%", "'", "\\", "50%", "'; drop table products; --", "{red}", "null", '"'])
		expect(await names({ attr: { color: [value], note: [value] } })).toEqual([]);
	for (const attr of [
		{ color: [] },
		{ color: "red" },
		{ color: [""] },
		{ "a'b": ["x"] },
		{ color: ["a\0b"] },
		{ color: Array(51).fill("x") },
		Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`a${i}`, ["x"]])),
	])
		await expect(list({ attr } as never)).rejects.toMatchObject({ code: 422 });
});

test("counts the values of each attribute, the categories and the price bounds", async () => {
	expect(await facets()).toEqual({
		total: 6,
		price: { min: 1, max: 30 },
		categories: [
			{ path: "Clothes/Shirts", count: 3 },
			{ path: "Kitchen", count: 2 },
			{ path: "Clothes/Socks", count: 1 },
		],
		attributes: {
			color: [
				{ value: "red", count: 4 },
				{ value: "blue", count: 2 },
			],
			note: [{ value: "50% = half, 'quoted' \\ $1 :x ?", count: 1 }],
			organic: [{ value: "true", count: 1 }],
			size: [
				{ value: "M", count: 3 },
				{ value: "L", count: 2 },
				{ value: "S", count: 1 },
			],
			volume: [{ value: "0.35", count: 1 }],
		},
	});
});

test("a filter narrows all facets but its own", async () => {
	const red = { attr: { color: ["red"] } };
	expect(await values("color", red)).toEqual(["red 4", "blue 2"]);
	expect(await values("size", red)).toEqual(["L 2", "M 2", "S 1"]);
	expect(await facets(red)).toMatchObject({
		total: 4,
		price: { min: 5, max: 30 },
		categories: [
			{ path: "Clothes/Shirts", count: 2 },
			{ path: "Clothes/Socks", count: 1 },
			{ path: "Kitchen", count: 1 },
		],
	});
	const both = { attr: { color: ["red"], size: ["M"] }, category: "Clothes/Shirts" };
	expect(await values("color", both)).toEqual(["blue 2", "red 2"]);
	expect(await values("size", both)).toEqual(["L 2", "M 2"]);
	expect((await facets(both)).categories).toEqual([{ path: "Clothes/Shirts", count: 2 }]);
	const cheap = await facets({ max_price: 10, q: "red" });
	expect(cheap).toMatchObject({ total: 2, price: { min: 5, max: 30 } });
	expect(cheap.attributes.color).toEqual([{ value: "red", count: 2 }]);
});

test("without matches, all facets are empty but those of the filter", async () => {
	expect(await facets({ q: "nothing" })).toEqual({
		total: 0,
		price: { min: null, max: null },
		categories: [],
		attributes: {},
	});
	expect(await values("color", { attr: { color: ["green"] } })).toEqual(["red 4", "blue 2"]);
});

test("facets reflect a change at once", async () => {
	const before = await values("color");
	const { id } = await create({
		name: "x",
		price: 2,
		category: "x",
		attributes: { color: "green" },
	});
	expect(await values("color")).toEqual([...before!, "green 1"]);
	await shop.call("products.remove", { id }, asAdmin);
	expect(await values("color")).toEqual(before);
});

test("the facet of a filter is among the limited number of attributes", async () => {
	const products = await Promise.all(
		["a", "b"].map((prefix) => {
			const others = Array.from({ length: 30 }, (_, n) => [`${prefix}${n}`, "x"]);
			const attributes = { color: "red", ...Object.fromEntries(others) };
			return create({ name: "Mixed", price: 2, category: "Mixed", attributes });
		}),
	);
	const { attributes } = await facets({ category: "Mixed", attr: { color: ["red"] } });
	expect(attributes.color).toEqual([{ value: "red", count: 2 }]);
	expect(Object.keys(attributes)).toHaveLength(50);
	for (const { id } of products) await shop.call("products.remove", { id }, asAdmin);
});

test("counts of many matches are estimates from a sample", async () => {
	await shop.databases.query("products", "alter table products disable trigger products_terms");
	await shop.databases.query(
		"products",
		`insert into products (id, name, price, currency, category, attributes)
		select gen_random_uuid(), 'Screw ' || n, n / 1000.0, 'EUR', 'Screws/' || n % 2,
			jsonb_build_object('head', case when n % 4 = 0 then 'cross' else 'slot' end)
		from generate_series(1, 12000) n`,
	);
	await shop.databases.query("products", "analyze products");
	const { db, model } = shop.broker.getLocalService("products") as unknown as Source;
	const count = (path: string) =>
		countFacets({
			db,
			model,
			filter: { category: { path, isBranch: true } },
			limits: { exactUpTo: 2000, sampleSize: 4000 },
		});
	const { total, price, categories, attributes } = await count("Screws");
	expect(total).toBeGreaterThan(10_000);
	expect(price).toEqual({ min: 0.001, max: 12 });
	const expectAround = (count: number | undefined, expected: number) =>
		expect(Math.abs(count! - expected)).toBeLessThan(expected * 0.25);
	const [first, second] = categories;
	expect([first!.path, second!.path].sort()).toEqual(["Screws/0", "Screws/1"]);
	expectAround(first!.count, 6000);
	expectAround(second!.count, 6000);
	expect(attributes.head!.map(({ value }) => value)).toEqual(["slot", "cross"]);
	expectAround(attributes.head![0]!.count, 9000);
	expectAround(attributes.head![1]!.count, 3000);
	// Few matches in a large catalogue are counted exactly.
	expect((await count("Clothes")).attributes.color).toEqual([
		{ value: "red", count: 3 },
		{ value: "blue", count: 2 },
	]);
});
