import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { admin as adminUser, type Shop, startShop } from "../../../test/support/shop.ts";

/** Products and inventory behind a gateway. */
const openShop = () =>
	startShop({
		services: ["api", "products", "inventory"],
		stubs: stubbedServices().filter(({ name }) => name === "auth"),
	});

let shop: Shop;
beforeAll(async () => {
	shop = await openShop();
});
afterAll(() => shop?.stop());

/** Runs a statement in the database of the products. */
// biome-ignore lint/suspicious/noExplicitAny: rows of any shape
const query = (text: string, values: unknown[] = []): Promise<any[]> =>
	shop.databases.query("products", text, values);
type Summary = Record<string, unknown> & { errors: Record<string, unknown>[] };
/** Imports a file and returns the summary. */
async function importFile(body: string, type = "text/csv", target = shop): Promise<Summary> {
	const { status, body: text } = await target.http("POST /api/products/import", {
		token: token(target.env, "admin"),
		body,
		headers: { "content-type": type },
	});
	if (status !== 200) throw new Error(JSON.stringify(text));
	return JSON.parse(text.trim().split("\n").at(-1));
}
const exportFile = async (format: "csv" | "ndjson", target = shop): Promise<string> =>
	(
		await target.http(`GET /api/products/export?format=${format}`, {
			token: token(target.env, "admin"),
		})
	).body;
const exportPart = (params: { format: "csv" | "ndjson"; cursor?: string }) =>
	shop.call("products.exportRows", params, { meta: { user: adminUser } });
const bySku = async (sku: string) =>
	(await query("select * from products where sku = $1 and deleted_at is null", [sku]))[0];
const eventsOf = (id: string) =>
	query("select type, data from outbox where subject = $1 order by xid, seq", [id]);
const counts = ({ created, updated, unchanged, failed }: Summary) => [
	created,
	updated,
	unchanged,
	failed,
];
const admin = () => token(shop.env, "admin");

test("creates, updates and leaves products, and publishes an event for each change", async () => {
	const header = "sku,name,price,category,stock,attributes.color\n";
	expect(
		counts(await importFile(`${header}E-1,One,1.50,Kitchen,3,red\nE-2,Two,2,Kitchen,,\n`)),
	).toEqual([2, 0, 0, 0]);
	const one = await bySku("E-1");
	expect(one).toMatchObject({ name: "One", price: "1.5", attributes: { color: "red" } });
	expect([one.in_stock, (await bySku("E-2")).in_stock]).toEqual([true, false]);
	expect(await shop.call("inventory.get", { product_id: one.id })).toMatchObject({ on_hand: 3 });

	const rows = ["E-1,One,1.75,Kitchen,9,red", "E-2,Two,2,Kitchen,,", "E-3,Three,3,Kitchen,1,"];
	const changed = `${header}${rows.join("\n")}\n`;
	expect(counts(await importFile(changed))).toEqual([1, 1, 1, 0]);
	expect(await eventsOf(one.id)).toEqual([
		{ type: "product.created", data: { product_id: one.id } },
		{ type: "product.updated", data: { product_id: one.id, updated_fields: ["price"] } },
	]);
	expect((await shop.http(`GET /api/products/${one.id}`)).body.price).toBe(1.75);
	// The stock of an existing product is that of the inventory, not of the file.
	expect(await shop.call("inventory.get", { product_id: one.id })).toMatchObject({ on_hand: 3 });
});

test("a large import into a new catalogue leaves statistics for the planner", async () => {
	const description = "A long description. ".repeat(20);
	const rows = Array.from(
		{ length: 1500 },
		(_, n) => `L-${n},Product ${n},1,Kitchen,${description}`,
	);
	const file = `sku,name,price,category,description\n${rows.join("\n")}\n`;
	expect(counts(await importFile(file))).toEqual([1500, 0, 0, 0]);
	await eventually(async () => {
		const [table] = await query("select reltuples from pg_class where relname = 'products'");
		expect(table.reltuples).toBeGreaterThan(100);
	});
});

test("a repeated import writes nothing", async () => {
	const file = "sku,name,price,category\nR-1,One,1,Kitchen\nR-2,Two,2,Kitchen\n";
	await importFile(file);
	const state = () =>
		query("select (select count(*) from outbox), json_agg(products order by id) from products");
	const before = await state();
	expect(counts(await importFile(file))).toEqual([0, 0, 2, 0]);
	expect(await state()).toEqual(before);
});

test("imports variants, which follow their parent, and updates its facets", async () => {
	const file = [
		"sku,parent_sku,name,price,currency,category,options.size,options.color",
		"SHIRT,,Shirt,10,EUR,Clothes,,",
		"SHIRT-M,SHIRT,,,,,M,red",
		"SHIRT-L,SHIRT,,12,,,L,red",
	].join("\n");
	expect(counts(await importFile(file))).toEqual([3, 0, 0, 0]);
	const parent = await bySku("SHIRT");
	expect(parent).toMatchObject({
		...{ variant_count: 2, option_names: ["size", "color"], in_stock: false },
	});
	expect(parent.facets.sort()).toEqual(["color=red", "size=L", "size=M"]);
	expect(await bySku("SHIRT-M")).toMatchObject({
		parent_id: parent.id,
		name: "Shirt",
		own_fields: [],
	});
	expect(await eventsOf((await bySku("SHIRT-M")).id)).toMatchObject([
		{ data: { parent_id: parent.id } },
	]);
	expect(counts(await importFile(file))).toEqual([0, 0, 3, 0]);

	expect(counts(await importFile(file.replace("Shirt,10", "T-Shirt,11")))).toEqual([0, 1, 2, 0]);
	const variants = (await shop.http(`GET /api/products/${parent.id}`)).body.variants;
	expect(variants.map((one: Record<string, unknown>) => [one.name, one.price])).toEqual([
		["T-Shirt", 11],
		["T-Shirt", 12],
	]);
	expect(
		counts(
			await importFile(
				file.replace("L,red", "XL,blue").replace(",10,", ",11,").replace("Shirt,11", "T-Shirt,11"),
			),
		),
	).toEqual([0, 1, 2, 0]);
	expect((await bySku("SHIRT")).facets.sort()).toEqual([
		"color=blue",
		"color=red",
		"size=M",
		"size=XL",
	]);
});

test("a changed attribute of a parent replaces the inherited one in its facets", async () => {
	const file = [
		"sku,parent_sku,name,price,category,options.size,attributes.material",
		"SCARF,,Scarf,10,Clothes,,wool",
		"SCARF-M,SCARF,,,,M,",
	].join("\n");
	expect(counts(await importFile(file))).toEqual([2, 0, 0, 0]);
	const parentOnly = file.replace("wool", "silk").split("\n").slice(0, 2).join("\n");
	expect(counts(await importFile(parentOnly))).toEqual([0, 1, 0, 0]);
	expect((await bySku("SCARF-M")).attributes).toEqual({ material: "silk" });
	expect((await bySku("SCARF")).facets.sort()).toEqual(["material=silk", "size=M"]);
});

test("reports variants with the same options, and applies the other rows", async () => {
	const file = [
		"sku,parent_sku,name,price,category,options.size",
		"CAP,,Cap,10,Clothes,",
		"CAP-M,CAP,,,,M",
		"CAP-N,CAP,,,,M",
		"CAP-L,CAP,,,,L",
	].join("\n");
	const summary = await importFile(file);
	expect(counts(summary)).toEqual([3, 0, 0, 1]);
	const same = "Another variant of the product has these options";
	expect(summary.errors).toEqual([{ row: 4, sku: "CAP-N", field: "options", message: same }]);
	const changed = await importFile("sku,options.size\nCAP-M,S\nCAP-L,S\n");
	expect(counts(changed)).toEqual([0, 1, 0, 1]);
	expect(changed.errors).toEqual([{ row: 3, sku: "CAP-L", field: "options", message: same }]);
});

test.each([
	["19,99", "price", /Write the price with a decimal point and without separators: 19\.99/],
	["x".repeat(300), "price", /must be a number/],
	["99999999999", "price", /less than or equal/],
])(
	"reports the price %s with its row, SKU and field, and imports the others",
	async (price, field, message) => {
		const sku = `P-${price.length}`;
		const file = `sku,name,price,category\n${sku},A,"${price}",K\nGOOD-${sku},B,1,K\n`;
		const summary = await importFile(file);
		expect(counts(summary)).toEqual([1, 0, 0, 1]);
		expect(summary.errors).toEqual([
			{ row: 2, sku, field, message: expect.stringMatching(message) },
		]);
	},
);

test("reports violations of the contract in NDJSON", async () => {
	const lines = [
		{ name: "A" },
		{ sku: "no spaces" },
		{ sku: "N-1", name: "A", price: "1", category: "K" },
		{ sku: "N-2", name: "A", price: 1, category: "K", colour: "red" },
		{ sku: "N-3", name: "A", price: 1, category: "K", images: [{ url: "javascript:x" }] },
		{ sku: "N-4", name: "A", price: 1, category: "K", attributes: { color: { a: 1 } } },
		{ sku: "N-5", name: "A", price: 1, category: "K", attributes: { color: ["a", "b"], n: 1.5 } },
	];
	const file = lines.map((line) => JSON.stringify(line)).join("\n");
	const summary = await importFile(file, "application/x-ndjson");
	expect(counts(summary)).toEqual([1, 0, 0, 6]);
	expect(summary.errors.map(({ row, sku, field }) => [row, sku, field])).toEqual([
		[1, null, "sku"],
		[2, "no spaces", "sku"],
		[3, "N-1", "price"],
		[4, "N-2", "colour"],
		[5, "N-3", "images[0].url"],
		[6, "N-4", "attributes.color"],
	]);
	expect(summary.errors[3]!.message).toBe("Unknown field 'colour'");
	expect((await bySku("N-5")).attributes).toEqual({ color: ["a", "b"], n: 1.5 });
});

test.each([
	["sku,colour\nA,red\n", /Unknown column .{1,3}colour/],
	["name,price\nA,1\n", /column sku is missing/],
	["sku;name\nA;b\n", /separated by commas/],
])("rejects the header of %j", async (file, message) => {
	await expect(importFile(file)).rejects.toThrow(message);
});

test("imports the same file concurrently without duplicates", async () => {
	const rows = Array.from({ length: 300 }, (_, i) => `C-${i},Name ${i},1,K,\n`);
	const variants = rows.map((_, i) => `CV-${i},,,,C-${i}\n`);
	const file = `sku,name,price,category,parent_sku\n${rows.join("")}`;
	const options = variants.map((_, i) => `CV-${i},${i},C-${i}\n`);
	const withOptions = `sku,options.n,parent_sku\n${options.join("")}`;
	const reversed = `sku,name,price,category,parent_sku\n${rows.toReversed().join("")}`;
	const summaries = await Promise.all([importFile(file), importFile(reversed)]);
	expect(summaries.map(({ failed }) => failed)).toEqual([0, 0]);
	const more = await Promise.all([importFile(withOptions), importFile(withOptions)]);
	expect(more.map(({ failed }) => failed)).toEqual([0, 0]);
	const found = await query(
		`select count(*)::int, count(distinct sku)::int as skus
		from products where sku ~ '^CV?-' and deleted_at is null`,
	);
	expect(found).toEqual([{ count: 600, skus: 600 }]);
});

/** Products with everything that a file can damage. */
async function createDifficultProducts(): Promise<void> {
	const create = async (path: string, body: object) => {
		const response = await shop.http(`POST /api/products${path}`, { token: admin(), body });
		if (response.status !== 201) throw new Error(JSON.stringify(response.body));
		return response.body;
	};
	const common = { name: "X", price: 1, category: "A/B" };
	await create("", { ...common, name: "=1+1", description: "'=quoted", sku: "-5", stock: 7 });
	await create("", {
		...common,
		name: 'Say "hi", ä€😀',
		description: " \r\nlines\n\n,;\t ",
		price: 19.9,
	});
	await create("", { ...common, description: "", sku: "D-JPY", price: 150, currency: "JPY" });
	await create("", { ...common, description: "\ufffd", sku: "D-BHD", price: 1.5, currency: "BHD" });
	await create("", {
		...common,
		sku: "D-ATTR",
		attributes: {
			text: "12",
			list: ["a"],
			many: ["a|b", "c"],
			yes: true,
			n: -1.5e-7,
			"=x": undefined,
			f: "@f",
			comma: "1,5",
		},
		images: [
			{ url: "/a.svg", alt: "A" },
			{ url: "https://example.com/b?c=d,e", alt: "" },
		],
	});
	await create("", { ...common, sku: "D-EMPTY-PARENT", option_names: ["size", "color"] });
	const parent = await create("", {
		...common,
		option_names: ["b", "a"],
		images: [{ url: "/p", alt: "P" }],
	});
	for (const [i, own] of [
		{},
		{ price: 3, sku: "D-V", stock: 2 },
		{ description: null, attributes: {}, images: [] },
		{ name: "own", category: "Z", attributes: { own: "=" }, images: [{ url: "/v", alt: "V" }] },
	].entries())
		await create(`/${parent.id}/variants`, { options: { a: `+${i}`, b: "x|y" }, ...own });
}

test("export, import and export again are identical, and every row is unchanged", async () => {
	await createDifficultProducts();
	for (const format of ["csv", "ndjson"] as const) {
		const first = await exportFile(format);
		const lines = format === "ndjson" ? first.trim().split("\n").length : undefined;
		const type = format === "csv" ? "text/csv" : "application/x-ndjson";
		const summary = await importFile(first, type);
		expect(summary.errors).toEqual([]);
		expect(counts(summary).slice(0, 2)).toEqual([0, 0]);
		if (lines) expect(summary.unchanged).toBe(lines);
		expect(await exportFile(format)).toBe(first);
	}
});

test("an export imported into another shop gives the same export", async () => {
	const other = await openShop();
	try {
		const file = await exportFile("ndjson");
		const summary = await importFile(file, "application/x-ndjson", other);
		expect(summary.errors).toEqual([]);
		expect(await exportFile("ndjson", other)).toBe(file);
		expect(await exportFile("csv", other)).toBe(await exportFile("csv"));
	} finally {
		await other.stop();
	}
});

test("exports in parts of limited size, also within the variants of a product", async () => {
	const long = "x".repeat(5000);
	const lines = [
		{ sku: "BIG", name: "Big", price: 1, category: "Big", description: long, option_names: ["n"] },
		...Array.from({ length: 100 }, (_, i) => ({
			...{ sku: `BIG-${i}`, parent_sku: "BIG", options: { n: String(i) }, description: long + i },
		})),
		...Array.from({ length: 150 }, (_, i) => ({
			...{ sku: `LONG-${i}`, name: "Long", price: 1, category: "Big", description: long + i },
		})),
	];
	// A description is limited to 5000 characters.
	const file = lines
		.map((line) => JSON.stringify({ ...line, description: line.description.slice(-5000) }))
		.join("\n");
	expect(counts(await importFile(file, "application/x-ndjson"))).toEqual([251, 0, 0, 0]);
	let cursor: string | null | undefined;
	let [text, parts] = ["", 0];
	do {
		const part = await exportPart({ format: "ndjson", ...(cursor ? { cursor } : {}) });
		cursor = part.cursor;
		text += part.text;
		parts++;
		expect(part.text.length).toBeLessThan(600_000);
	} while (cursor);
	expect(parts).toBeGreaterThan(3);
	expect(text).toBe(await exportFile("ndjson"));
	const skus = text
		.trim()
		.split("\n")
		.map((line) => JSON.parse(line).sku);
	expect(new Set(skus).size).toBe(skus.length);
	expect(skus.filter((sku) => /^(BIG|LONG)/.test(sku))).toHaveLength(251);
	for (const bad of ["x", "{}", '{"family":"a","id":"b","columns":[]}'])
		await expect(exportPart({ format: "csv", cursor: bad })).rejects.toMatchObject({
			data: { errors: [{ field: "cursor", message: "The cursor is not valid" }] },
		});
});

test("refuses an export at once, and names the service, while the inventory is down", async () => {
	const other = await openShop();
	try {
		await importFile("sku,name,price,category\nA,A,1,A\n", "text/csv", other);
		await other.broker.destroyService("inventory");
		const target = "GET /api/products/export?format=csv";
		const { status, headers, body } = await other.http(target, {
			token: token(other.env, "admin"),
		});
		expect([status, headers.get("retry-after")]).toEqual([503, "5"]);
		expect(body).toMatchObject({ code: "SERVICE_UNAVAILABLE", service: "inventory" });
	} finally {
		await other.stop();
	}
});
