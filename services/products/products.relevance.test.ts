import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { inventoryStub } from "../../test/support/gateway.ts";
import { asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
	for (const product of catalogue) await create(product);
});
afterAll(() => shop?.stop());

const create = (product: object) =>
	shop.call("products.create", { price: 1, category: "Things", ...product } as never, asAdmin);
/** In the reverse order of relevance for "walnut". */
const catalogue = [
	{ name: "In the description", description: "Made of walnut" },
	{ name: "In an attribute", attributes: { wood: ["oak", "Walnut"] } },
	{ name: "In the category", category: "Walnut" },
	{ name: "In the SKU", sku: "WALNUT-1" },
	{ name: "Walnut bowl" },
	{ name: "Walnut bowl", category: "Walnut", attributes: { wood: "walnut" } },
];
type Query = Parameters<typeof list>[0];
const list = (query: { q?: string; sort?: string; limit?: number; after?: string }) =>
	shop.call("products.list", query as object);
const names = async (query: Query) => (await list(query)).rows.map(({ name }) => name);

test("sorts by the weight of the field that contains the words", async () => {
	expect(await names({ q: "walnut" })).toEqual([
		"Walnut bowl",
		"In the SKU",
		"Walnut bowl",
		"In the category",
		"In an attribute",
		"In the description",
	]);
	const { rows } = await list({ q: "walnut" });
	expect(rows[0]).toMatchObject({ category: "Walnut" });
	expect(await names({ q: "walnut", sort: "relevance" })).toEqual(rows.map(({ name }) => name));
	expect((await names({ q: "walnut", sort: "created_at" }))[0]).toBe("In the description");
	expect((await names({ q: "wal" })).length).toBe(6);
});

test("pages by relevance contain each product once", async () => {
	const all = (await list({ q: "walnut" })).rows;
	const walked = [];
	for (let after: { after?: string } = {}; ; ) {
		const { rows, total } = await list({ q: "walnut", limit: 2, ...after });
		expect(total).toBe(6);
		if (rows.length === 0) break;
		walked.push(...rows);
		after = { after: rows.at(-1)!.id };
	}
	expect(walked).toEqual(all);
});

test("without words, relevance is the order of creation", async () => {
	const expected = catalogue.map(({ name }) => name);
	expect(await names({ sort: "relevance" })).toEqual(expected);
	expect(await names({})).toEqual(expected);
	expect(await names({ q: "%" })).toEqual([]);
});

test("finds products by attributes, and a parent by options and SKUs of its variants", async () => {
	const { id } = await create({ name: "Kimono", option_names: ["size"] });
	expect(await names({ q: "xxl" })).toEqual([]);
	const variant = await shop.call(
		"products.createVariant",
		{ id, options: { size: "XXL" }, sku: "KIM-4711" },
		asAdmin,
	);
	for (const q of ["xxl", "kimono xxl", "KIM-4711"]) expect(await names({ q })).toEqual(["Kimono"]);
	await shop.call("products.update", { id: variant.id, sku: "KIM-4712" }, asAdmin);
	expect([await names({ q: "4711" }), await names({ q: "4712" })]).toEqual([[], ["Kimono"]]);
	await shop.call("products.update", { id, attributes: { fabric: "silk" } }, asAdmin);
	expect(await names({ q: "silk 4712" })).toEqual(["Kimono"]);
	await shop.call("products.remove", { id: variant.id }, asAdmin);
	expect([await names({ q: "4712" }), await names({ q: "silk" })]).toEqual([[], ["Kimono"]]);
});

test("words of combining marks only are left out of a query", async () => {
	expect(await names({ q: "\u0301" })).toEqual([]);
	expect(await names({ q: "\u0301 bowl" })).toEqual(await names({ q: "bowl" }));
	expect(await names({ q: "the \u0301" })).toEqual(await names({ q: "the" }));
	const { total } = await shop.call("products.facets", { q: "\u0301\u0302" });
	expect(total).toBe(0);
});
