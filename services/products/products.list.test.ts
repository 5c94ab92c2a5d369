import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { inventoryStub } from "../../test/support/gateway.ts";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
	const products = catalogue.map(([name, price, category, description = null], i) => ({
		name,
		price,
		category,
		description,
		sku: `T-${i}`,
	}));
	// In one transaction, so that all have the same created_at and only their IDs differ.
	await shop.call("products.import", { products });
});
afterAll(() => shop?.stop());

const catalogue: [name: string, price: number, category: string, description?: string][] = [
	["Running Shoes", 80, "Sports", "Light shoes for long runs"],
	["Shoe Box", 5, "Home", "Cardboard, for one pair"],
	["USB-C Cable 3.5 m", 9.99, "Electronics", "Charges at 5 V/3 A, see example.com/cables"],
	["Red Mug", 9.99, "100% Home", "Not blue"],
	["Blue Mug", 9.99, "Kitchen_ware", "Holds 350 ml"],
	["Café Crème", 0, "O'Brien's", 'The "strong" kind'],
	["Zebra", 3, "kitchen_ware"],
	["Grüner Tee", 4.2, "Kitchen\\ware", "Sencha & Bancha"],
];
type Query = Parameters<typeof list>[0];
const list = (query: {
	q?: string;
	category?: string;
	min_price?: number;
	max_price?: number;
	sort?: string;
	after?: string;
	skip?: number;
	limit?: number;
}) => shop.call("products.list", query as object);
const names = async (query: Query) => (await list(query)).rows.map(({ name }) => name);

test("lists all products without a filter, oldest first, with the total", async () => {
	const all = await list({});
	expect([all.total, all.rows.map(({ name }) => name)]).toEqual([
		8,
		catalogue.map(([name]) => name),
	]);
	const page = await list({ skip: 6, limit: 5 });
	expect([page.total, page.rows]).toEqual([8, all.rows.slice(6)]);
	expect(await list({ skip: 100 })).toEqual({ rows: [], total: 8 });
});

test("every sort order is stable: pages do not overlap and omit no product", async () => {
	for (const sort of ["name", "price", "created_at"]) {
		const all = await names({ sort });
		const pages = await Promise.all(catalogue.map((_, skip) => names({ sort, skip, limit: 1 })));
		expect(pages.flat()).toEqual(all);
		expect(await names({ sort: `-${sort}` })).toEqual(all.toReversed());
	}
	expect((await list({ sort: "price" })).rows.map(({ price }) => price)).toEqual([
		0, 3, 4.2, 5, 9.99, 9.99, 9.99, 80,
	]);
});

test("a page after a product works in every order and has the list's total", async () => {
	for (const sort of ["name", "price", "created_at", "-name", "-price", "-created_at"]) {
		const all = await list({ sort });
		const walked: string[] = [];
		for (let after: { after?: string } = {}; ; ) {
			const { rows, total } = await list({ sort, limit: 3, ...after });
			expect(total).toBe(catalogue.length);
			if (rows.length === 0) break;
			walked.push(...rows.map(({ name }) => name));
			after = { after: rows.at(-1)!.id };
		}
		expect(walked).toEqual(all.rows.map(({ name }) => name));
	}
	const [first] = (await list({ category: "Sports" })).rows;
	expect(await list({ category: "Sports", after: first!.id })).toEqual({
		rows: [],
		total: 1,
		more: false,
	});
	expect((await list({ after: "019a0000-0000-7000-8000-000000000000" })).rows).toEqual([]);
	await expect(list({ after: "' or true --" })).rejects.toMatchObject({ code: 422 });
});

test("finds frequent words, in order, with their total", async () => {
	const add = (from: number) =>
		shop.call("products.import", {
			products: Array.from({ length: 600 }, (_, i) => ({
				name: `Common ${from + i}`,
				price: from + i,
				category: "Bulk",
				sku: `BULK-${from + i}`,
			})),
		});
	await add(0);
	expect(
		(await list({ q: "common", sort: "-price", limit: 2 })).rows.map(({ price }) => price),
	).toEqual([599, 598]);
	await add(600);
	expect(await list({ q: "common", sort: "-price", limit: 1 })).toMatchObject({
		total: 1200,
		rows: [{ price: 1199 }],
	});
	expect(await list({ q: "common 1199", category: "Bulk" })).toMatchObject({
		total: 1,
		rows: [{ price: 1199 }],
	});
	await shop.databases.query("products", "delete from products where category = 'Bulk'");
});

test("a price range includes its bounds and may start at zero", async () => {
	expect(await names({ min_price: 5, max_price: 9.99 })).toEqual([
		"Shoe Box",
		"USB-C Cable 3.5 m",
		"Red Mug",
		"Blue Mug",
	]);
	expect(await names({ max_price: 0 })).toEqual(["Café Crème"]);
	expect((await list({ min_price: 9.99, limit: 1 })).total).toBe(4);
	await expect(list({ min_price: 5.01, max_price: 5 })).rejects.toMatchObject({
		code: 422,
		data: { errors: [{ field: "min_price" }] },
	});
	// Strings, as a query string contains them.
	expect(
		await names({ min_price: "4.20", max_price: "5", skip: "1", limit: "1" } as object),
	).toEqual(["Grüner Tee"]);
});

test("compares categories by case-insensitive Unicode form, without wildcards", async () => {
	for (const [name, , category] of catalogue)
		expect(await names({ category })).toEqual(
			category.toLowerCase() === "kitchen_ware" ? ["Blue Mug", "Zebra"] : [name],
		);
	for (const category of ["%", "Kitchen%", "Kitchen.ware", "' or ''='", "100%25 Home", "\\"])
		expect(await names({ category })).toEqual([]);
	for (const category of [" Sports ", "sports", "SPORTS", "ＳＰＯＲＴＳ"])
		expect(await names({ category })).toEqual(["Running Shoes"]);
	expect(await list({ category: "KITCHEN_WARE", limit: 1, sort: "-price" })).toMatchObject({
		total: 2,
		rows: [{ name: "Blue Mug" }],
	});
});

test("sorts names by Unicode collation, not by bytes", async () => {
	const mixed = [
		"zebra",
		"Äpfel",
		"apfel",
		"Apfel",
		"Éclair",
		"eclair",
		"Zebra",
		"10 Nails",
		"Ωmega",
		"öl",
	];
	const products = mixed.map((name, i) => ({
		name,
		price: 1,
		category: "Sorted",
		sku: `SORT-${i}`,
	}));
	await shop.call("products.import", { products });
	const sorted = mixed.toSorted(new Intl.Collator("und").compare);
	expect(await names({ category: "sorted", sort: "name" })).toEqual(sorted);
	expect(await names({ category: "sorted", sort: "-name" })).toEqual(sorted.toReversed());
	const { rows } = await list({ category: "sorted", sort: "name", limit: 4 });
	expect(await names({ category: "sorted", sort: "name", after: rows.at(-1)!.id })).toEqual(
		sorted.slice(4),
	);
	await shop.databases.query("products", "delete from products where category = 'Sorted'");
});

test("finds products by all words, as prefix or stem, in name and description", async () => {
	expect(await names({ q: "shoe" })).toEqual(["Shoe Box", "Running Shoes"]);
	expect(await names({ q: "SHOES" })).toEqual(["Running Shoes", "Shoe Box"]);
	expect(await names({ q: "run sho" })).toEqual(["Running Shoes"]);
	expect(await names({ q: "mug blue" })).toEqual(["Blue Mug", "Red Mug"]);
	expect(await names({ q: "mug nothing" })).toEqual([]);
	expect(await names({ q: "usb-c" })).toEqual(["USB-C Cable 3.5 m"]);
	expect(await names({ q: "3.5" })).toEqual(["USB-C Cable 3.5 m"]);
	expect(await names({ q: "cables" })).toEqual(["USB-C Cable 3.5 m"]);
	expect(await names({ q: "café" })).toEqual(["Café Crème"]);
	expect(await names({ q: "grüner" })).toEqual(["Grüner Tee"]);
	expect(await names({ q: "the not" })).toEqual([]);
	expect(await names({ q: "not" })).toEqual(["Red Mug"]);
});

test("ignores stop words next to other words", async () => {
	for (const q of [
		"the running shoes",
		"running shoes for the",
		"THE shoes of and to run",
		"a shoe in running",
	])
		expect(await names({ q })).toEqual(["Running Shoes"]);
	expect(await names({ q: "the mug is not blue" })).toEqual(["Blue Mug", "Red Mug"]);
	expect(await names({ q: "the nothing" })).toEqual([]);
});

test("search ignores accents, Unicode forms and letter case", async () => {
	for (const q of ["cafe", "café", "CAFÉ", "cafe\u0301", "creme", "Cr\u0300eme", "ｃａｆｅ"])
		expect(await names({ q })).toEqual(["Café Crème"]);
	for (const q of ["gruner", "GRÜNER", "gru\u0308ner", "tee sencha"])
		expect(await names({ q })).toEqual(["Grüner Tee"]);
	const written = [
		"Smørrebrød",
		"Weißbier",
		"ΟΔΟΣ",
		"Żółw",
		"Ёлка",
		"ﬁligree",
		"½ litre",
		"テレビ",
		"I\u0307stanbul",
	];
	const queries = [
		"smorrebrod",
		"weissbier",
		"οδος",
		"zolw",
		"елка",
		"filigree",
		"½",
		"テレ",
		"istanbul",
	];
	await shop.call("products.import", {
		products: written.map((name, i) => ({
			name,
			price: 1,
			category: "Foreign",
			sku: `FOREIGN-${i}`,
		})),
	});
	const found = await Promise.all(queries.map((q) => names({ q, category: "Foreign" })));
	expect(found).toEqual(written.map((name) => [name]));
	await shop.databases.query("products", "delete from products where category = 'Foreign'");
});

test("finds words in category and SKU", async () => {
	const { id } = await shop.call(
		"products.create",
		{ name: "Spare", price: 1, category: "Parts", sku: "QX-990.b" },
		{ meta: { user: admin } },
	);
	for (const q of ["QX-990.b", "qx 99", "the qx"]) expect(await names({ q })).toEqual(["Spare"]);
	await shop.databases.query("products", "delete from products where id = $1", [id]);
	expect(await names({ q: "mug home" })).toEqual(["Red Mug"]);
	expect(await names({ q: "electronics" })).toEqual(["USB-C Cable 3.5 m"]);
});

test("finds products that a node of the previous version writes", async () => {
	const insert = `insert into products (id, name, price, currency, category)
		values (gen_random_uuid(), 'Ocarina', 1, 'EUR', 'Music') returning id`;
	const [{ id } = { id: "" }] = await shop.databases.query<{ id: string }>("products", insert);
	expect(await names({ q: "the ocarina" })).toEqual(["Ocarina"]);
	await shop.databases.query("products", "update products set name = 'Flute' where id = $1", [id]);
	expect(await list({ q: "flutes", min_price: 1 })).toMatchObject({ total: 1 });
	await shop.databases.query("products", "delete from products where id = $1", [id]);
});

test("combines search and filters, also for the total", async () => {
	expect(await list({ q: "mug", category: "Kitchen_ware", min_price: 1 })).toMatchObject({
		total: 1,
		rows: [{ name: "Blue Mug" }],
	});
	expect(await list({ q: "mug", sort: "-name", limit: 1 })).toMatchObject({
		total: 2,
		rows: [{ name: "Red Mug" }],
	});
});

test("treats operators of SQL, LIKE and text search as separators", async () => {
	for (const q of [
		"%",
		"_",
		"% _",
		"'",
		'"',
		"\\",
		"&",
		"!",
		":*",
		"<->",
		"()",
		"--",
		";",
		"?",
		"$",
	])
		expect(await list({ q })).toEqual({ rows: [], total: 0 });
	for (const q of [
		"mug | red",
		'"mug red',
		"mug:* red",
		"mug')-- red",
		"(mug red",
		"mug \\ red",
		"mug% red",
		"red'mug",
		"-red mug",
	])
		expect(await names({ q })).toEqual(["Red Mug"]);
	for (const q of ["$1", ":mug", ":name", "???mug"])
		await expect(list({ q })).resolves.toBeDefined();
	expect(await names({ q: "mug & !red" })).toEqual(["Red Mug"]);
	expect(await names({ q: "zeb%" })).toEqual(["Zebra"]);
	expect(await names({ q: "'; drop table products; --" })).toEqual([]);
	expect((await list({})).total).toBe(8);
});

test("rejects invalid filters", async () => {
	const wrong = [
		{ sort: "sku" },
		{ sort: "price desc" },
		{ q: "" },
		{ q: "  " },
		{ q: "a\0" },
		{ q: "x".repeat(201) },
		{ limit: 101 },
		{ limit: 0 },
	];
	for (const query of [
		...wrong,
		{ skip: -1 },
		{ min_price: -1 },
		{ min_price: "a" },
		{ search: "x" },
		{ query: { deleted_at: null } },
		{ category: ["a"] },
	])
		await expect(list(query as object)).rejects.toMatchObject({ code: 422 });
});

test("search reflects new, changed and removed products at once", async () => {
	const { id } = await shop.call(
		"products.create",
		{ name: "Lantern", price: 1, category: "New" },
		asAdmin,
	);
	expect(await names({ q: "lanterns" })).toEqual(["Lantern"]);
	await shop.call("products.update", { id, name: "Torch" }, asAdmin);
	expect([await names({ q: "lantern" }), await names({ q: "torch" })]).toEqual([[], ["Torch"]]);
	await shop.call("products.remove", { id }, asAdmin);
	expect(await names({ q: "torch" })).toEqual([]);
});
