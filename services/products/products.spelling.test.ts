import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { inventoryStub } from "../../test/support/gateway.ts";
import { asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "api"], stubs: [inventoryStub()] });
	for (const product of catalogue) await create(product);
	await wordsAreKnown();
});
afterAll(() => shop?.stop());

const create = (product: object) =>
	shop.call("products.create", { price: 1, category: "Things", ...product } as never, asAdmin);
/** Waits until the words of all products are known. */
const wordsAreKnown = () =>
	eventually(async () =>
		expect(await shop.databases.query("products", "select from products_with_new_words")).toEqual(
			[],
		),
	);
const catalogue = [
	{ name: "Kitchen Knife", description: "Forged blade" },
	{ name: "Bamboo Board", category: "Kitchen/Boards" },
	{ name: "Café Crème", attributes: { roast: "medium" } },
	{ name: "Самовар" },
];
const find = async (q: string) => {
	const { rows, corrected } = await shop.call("products.list", { q });
	return [corrected, ...rows.map(({ name }) => name)];
};

test.each([
	["kitchn knife", "kitchen knife", "Kitchen Knife"],
	["kicthen nkife", "kitchen knife", "Kitchen Knife"],
	["bambo boadr", undefined, "Bamboo Board"],
	["bambbo", "bamboo", "Bamboo Board"],
	["Creeme", "creme", "Café Crème"],
	["the medum", "the medium", "Café Crème"],
	["forgd balde", "forged blade", "Kitchen Knife"],
	["симовар", "самовар", "Самовар"],
])("%s finds %s", async (q, corrected, name) => {
	const [words, ...names] = await find(q);
	expect(names).toEqual([name]);
	if (corrected) expect(words).toBe(corrected);
});

test("corrects nothing if products contain the words, or if no known word is close", async () => {
	expect(await find("kitchen")).toEqual([undefined, expect.any(String), expect.any(String)]);
	expect(await find("kit kni")).toEqual([undefined, "Kitchen Knife"]);
	for (const q of ["xylophone", "kitchn xylophone", "mgu", "bamboo forged", "12345", "%"])
		expect(await find(q)).toEqual([undefined]);
});

test("reports the corrected words in a header, also from the response cache", async () => {
	for (let i = 0; i < 2; i++) {
		const { headers, body } = await shop.http("GET /api/products?q=kitchn&limit=1");
		expect([headers.get("x-search-corrected"), body.length]).toEqual(["kitchen", 1]);
		expect(headers.get("x-total-count")).toBe("2");
	}
	const { headers } = await shop.http(`GET /api/products?q=${encodeURIComponent("симовар")}`);
	expect(decodeURI(headers.get("x-search-corrected")!)).toBe("самовар");
	const exact = await shop.http("GET /api/products?q=kitchen");
	expect(exact.headers.has("x-search-corrected")).toBe(false);
	expect((await shop.http("GET /api/products/facets?q=kitchn")).body.total).toBe(2);
});

test("corrects to words of new and changed products, not to those of removed ones", async () => {
	const { id } = await create({ name: "Harmonica", option_names: ["tuning"] });
	await shop.call(
		"products.createVariant",
		{ id, options: { tuning: "chromatic" }, sku: "HARM-1" },
		asAdmin,
	);
	await wordsAreKnown();
	expect(await find("harmonca cromatic")).toEqual(["harmonica chromatic", "Harmonica"]);
	await shop.call("products.update", { id, name: "Accordion" }, asAdmin);
	await wordsAreKnown();
	expect(await find("harmonca")).toEqual([undefined]);
	expect(await find("acordion")).toEqual(["accordion", "Accordion"]);
	await shop.call("products.remove", { id }, asAdmin);
	expect(await find("acordion")).toEqual([undefined]);
});

test("concurrent products with the same new words do not wait for each other", async () => {
	const words = ["zither", "yodel", "xebec", "wombat"];
	await Promise.all(
		Array.from({ length: 20 }, (_, i) =>
			create({ name: (i % 2 ? words : words.toReversed()).join(" ") }),
		),
	);
	await wordsAreKnown();
	expect((await find("zithr womabt"))[0]).toBe("zither wombat");
});
