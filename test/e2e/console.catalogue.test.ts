import { readFile } from "node:fs/promises";
import { expect } from "@jest/globals";
import type { Client } from "../../clients/typescript/src/index.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeProduct } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import type { AdminConsole } from "../support/console.ts";
import { consoleShop } from "../support/console-shop.ts";
import { eventually } from "../support/eventually.ts";
import type { Shop } from "../support/shop.ts";

let shop: Shop;
let admin: Customer;
let console: AdminConsole;
let client: Client;

const { problemsOf } = consoleShop({
	page: ["/products", "Catalogue"],
	onStart(started) {
		({ shop, admin } = started);
		client = clientOf(shop, admin);
	},
	onOpen(opened) {
		console = opened;
	},
});

const label = (text: string) => console.page.getByLabel(text, { exact: true });
const filter = (text: string) => console.page.getByRole("combobox", { name: text, exact: true });
const link = (text: string) => console.page.getByRole("link", { name: text, exact: true });
/** Row of a table with a link. */
const rowOf = (text: string) => console.page.getByRole("row").filter({ has: link(text) });
/** ID of the product whose page is open. */
const currentId = () => console.page.url().split("/").at(-1)!;

testInBrowser("a product is created with attributes and images, found and deleted", async () => {
	await link("New product").click();
	await console.shows("New product");
	await label("Name").fill("Cast iron pan");
	await label("Price").fill("39.90");
	await label("SKU").fill("not a SKU");
	await label("Category").fill("Kitchen/Pans");
	await console.button("Add attribute").click();
	const attributes = console.page.getByRole("group", { name: "Attributes" });
	await attributes.getByLabel("Name").fill("weight");
	await attributes.getByLabel("Type").selectOption("number");
	await attributes.getByLabel("Value").fill("2400");
	await console.button("Add image").click();
	await label("Address").fill("/images/kitchen.svg");
	await label("Stock on hand").fill("7");
	await console.button("Create product").click();
	await console.page.locator("[aria-invalid=true][name=sku]").waitFor();
	expect(await label("Name").first().inputValue()).toBe("Cast iron pan");
	await label("SKU").fill("PAN-1");
	await console.button("Create product").click();
	await console.confirms("Cast iron pan is created.");
	await console.shows("Cast iron pan");

	const id = currentId();
	expect(await client.products.get({ id })).toMatchObject({
		sku: "PAN-1",
		price: 39.9,
		category: "Kitchen/Pans",
		attributes: { weight: 2400 },
		images: [{ url: "/images/kitchen.svg", alt: "" }],
	});
	await console.panel("Stock").getByText("7", { exact: true }).first().waitFor();
	await console.panel("Product").getByRole("link", { name: "Kitchen/Pans" }).click();
	await rowOf("Cast iron pan").getByText("7", { exact: true }).waitFor();
	expect(await filter("Category").inputValue()).toBe("Kitchen/Pans");
	await label("Search").fill("iron");
	await console.page.waitForURL("**/products?category=Kitchen%2FPans&q=iron");
	await label("Search").fill("wooden");
	await console.page.getByText("No product matches.").waitFor();

	await console.goto(`/products/${id}`);
	await console.button("Delete …").click();
	await console.page.keyboard.press("Escape");
	await console.button("Delete …").click();
	await console.choose("Delete");
	await console.confirms("Cast iron pan is deleted.");
	await console.shows("Catalogue");
	await expect(client.products.get({ id })).rejects.toMatchObject({ status: 404 });
	expect(console.problems).toEqual([]);
});

testInBrowser(
	"stock is adjusted with a reason and set, and sold-out products are found",
	async () => {
		const { id } = await makeProduct(shop, admin, { name: "Stocked", stock: 5 });
		await console.goto(`/products/${id}`);
		await console.button("Adjust … stock of Stocked").click();
		await console.dialog().getByLabel("Difference").fill("-9");
		await console.dialog().getByLabel("Reason").fill("Damaged");
		await console.button("Adjust").click();
		await console.dialog().getByRole("alert").getByText("less than the reserved").waitFor();
		await console.dialog().getByLabel("Difference").fill("-3");
		await console.button("Adjust").click();
		await console.confirms("Stocked: 2 on hand.");
		expect(await client.inventory.get({ product_id: id })).toMatchObject({ on_hand: 2 });
		await console.button("Set … stock of Stocked").click();
		await console.dialog().getByLabel("On hand").fill("0");
		await console.button("Set").click();
		await console.confirms("Stocked: 0 on hand.");
		await eventually(async () => {
			const found = await client.products.list({ in_stock: false });
			expect(found.map((product) => product.id)).toContain(id);
		});
		await console.section("Catalogue");
		await filter("Stock").selectOption("Sold out");
		await rowOf("Stocked").getByText("sold out").waitFor();
		await filter("Stock").selectOption("In stock");
		await rowOf("Stocked").waitFor({ state: "hidden" });
	},
);

testInBrowser("variants are created, edited and deleted", async () => {
	const { id } = await makeProduct(shop, admin, { name: "Shirt", price: 20 });
	await console.goto(`/products/${id}`);
	await console.panel("Variants").getByText("Edit it to add options").waitFor();
	await link("Edit").click();
	await label("Options of variants").fill("size, color");
	await console.button("Save").click();
	for (const size of ["M", "L"]) {
		await link("New variant").click();
		await console.shows("New variant of Shirt");
		await label("size").fill(size);
		await label("color").fill("red");
		await label("Stock on hand").fill("4");
		await console.button("Create variant").click();
		await rowOf(`${size} / red`).getByText("4", { exact: true }).waitFor();
	}
	await link("M / red").click();
	await console.panel("Product").getByText("Open the product").waitFor();
	await link("Edit").click();
	await label("size").fill("L");
	await console.page.locator("[name=price]").fill("23");
	await console.button("Save").click();
	await console.page.getByText("Another variant has these options").waitFor();
	await label("size").fill("XL");
	await console.button("Save").click();
	await console.confirms("The product is saved.");
	await console.page.getByText("Open the product").click();
	await rowOf("XL / red").getByText("€23.00").waitFor();
	await link("XL / red").click();
	await link("Edit").click();
	await label("SKU").fill("SHIRT-XL");
	await console.page.getByRole("checkbox", { name: "Price" }).check();
	await console.button("Save").click();
	await console.panel("Product").getByText("€20.00").waitFor();
	await console.page.getByText("Open the product").click();
	await rowOf("XL / red").getByText("SHIRT-XL").waitFor();
	await rowOf("L / red").getByRole("button", { name: "Delete …" }).click();
	await console.choose("Delete");
	await eventually(async () =>
		expect((await client.products.get({ id })).variants).toHaveLength(1),
	);
	expect(console.problems).toEqual([]);
});

testInBrowser("a concurrent change is shown, and neither it nor the input is lost", async () => {
	const { id } = await makeProduct(shop, admin, { name: "Tea", price: 5, category: "Drinks" });
	await console.goto(`/products/${id}/edit`);
	await label("Name").fill("Green tea");
	await label("Price").fill("6");
	await client.products.update({ id, price: 7, category: "Drinks/Tea" });
	await console.button("Save").click();
	await console.page.getByRole("alert").getByText("Another user has changed").waitFor();
	await console.page.getByText("Price: 7 (before: 5)").waitFor();
	await console.page.getByText("Category: Drinks/Tea (before: Drinks)").waitFor();
	expect(await label("Name").inputValue()).toBe("Green tea");
	expect((await client.products.get({ id })).name).toBe("Tea");
	await console.button("Save").click();
	await console.shows("Green tea");
	expect(await client.products.get({ id })).toMatchObject({
		name: "Green tea",
		price: 6,
		category: "Drinks/Tea",
	});
});

/** CSV with rows of new products, one of them with an invalid price. */
const fileOf = (prefix: string, rows: number) => ({
	name: `${prefix}.csv`,
	mimeType: "text/csv",
	buffer: Buffer.from(
		[
			"sku,name,price,category,stock",
			...Array.from(
				{ length: rows },
				(_, i) => `${prefix}-${i},Imported ${i},${i === 400 ? "x" : i},Imported,3`,
			),
		].join("\n"),
	),
});

/** Calls `act` while another transaction is inserting a product, which it does not complete. */
async function whileInserting(sku: string, act: () => Promise<void>): Promise<void> {
	const url = databaseUrl(shop.databases.pattern, "products");
	const db = new Database({ url, poolSize: 1 });
	const done = new Error("The transaction is rolled back");
	try {
		await db.transaction(async (tx) => {
			await tx.query(
				`insert into products (id, name, price, currency, category, sku)
				values (gen_random_uuid(), 'Concurrent', 1, 'EUR', 'Imported', $1)`,
				[sku],
			);
			await act();
			throw done;
		});
	} catch (error) {
		if (error !== done) throw error;
	} finally {
		await db.close();
	}
}

testInBrowser("1,000 products are imported with progress, counts and errors", async () => {
	await link("Import").click();
	await console.shows("Import products");
	await console.page.locator("input[type=file]").setInputFiles(fileOf("ROW", 1000));
	// The last batch waits, so that the progress before it is shown however slow this process is.
	await whileInserting("ROW-999", async () => {
		await console.button("Import").click();
		await console.page.getByText(/Importing [1-9]\d+ of 1,000 rows/).waitFor();
	});
	const result = console.panel("ROW.csv");
	await result.getByText("Completed").waitFor();
	await result.getByText("1,000 of 1,000 rows").waitFor();
	await result.getByText(/rows, [\d.,]+\/s/).waitFor();
	expect(await result.getByRole("definition").allTextContents()).toEqual(["999", "0", "0", "1"]);
	const cells = await result.getByRole("row").last().getByRole("cell").allTextContents();
	expect(cells.slice(0, 3)).toEqual(["402", "ROW-400", "price"]);
	expect((await client.products.list({ category: "Imported" })).total).toBe(999);

	const again = { ...fileOf("ROW", 1000), name: "again.csv" };
	await console.page.locator("input[type=file]").setInputFiles(again);
	await console.button("Import").click();
	const second = console.panel("again.csv");
	await second.getByText("Completed").waitFor();
	expect(await second.getByRole("definition").allTextContents()).toEqual(["0", "0", "999", "1"]);
	expect(console.problems).toEqual([]);
});

testInBrowser("an import continues on other pages and can be cancelled", async () => {
	const file = fileOf("MANY", 50_000);
	await link("Import").click();
	await console.page.locator("input[type=file]").setInputFiles(file);
	await console.button("Import").click();
	await console.page.getByText(/Importing [1-9][\d,]+ of 50,000 rows/).waitFor();
	await console.section("Orders");
	await console.section("Catalogue");
	await link("Import").click();
	await console.button("Cancel").click();
	const result = console.panel("MANY.csv");
	await result.getByText("Cancelled").waitFor();
	await result.getByText("The imported rows remain").waitFor();
	const { total } = await client.products.list({ category: "Imported", q: "imported" });
	expect(total).toBeGreaterThan(0);
	expect(total).toBeLessThan(50_000);

	const header = { ...fileOf("X", 1), name: "x.csv", buffer: Buffer.from("name,colour\nA,b\n") };
	await console.page.locator("input[type=file]").setInputFiles(header);
	await console.button("Import").click();
	await console.panel("x.csv").getByRole("alert").getByText('Unknown column "colour"').waitFor();
});

testInBrowser(
	"the catalogue is exported as a file that can be imported, also after the session expired",
	async () => {
		await makeProduct(shop, admin, { name: "Exported", sku: "EXPORTED-1" });
		await console.context.clearCookies({ name: "console_access" });
		const [download] = await Promise.all([
			console.page.waitForEvent("download"),
			console.button("Export CSV").click(),
		]);
		expect(download.suggestedFilename()).toMatch(/^products.*\.csv$/);
		const text = await readFile(await download.path(), "utf8");
		expect(text).toMatch(/^\uFEFF?sku,/);
		expect(text).toContain("EXPORTED-1");
	},
);

testInBrowser("axe-core reports no violation on the pages, which fit a narrow screen", async () => {
	const parent = await makeProduct(shop, admin, {
		name: "Jacket",
		attributes: { color: ["red", "blue"], lined: true, weight: 900 },
		images: [{ url: "/images/clothes.svg", alt: "" }],
		option_names: ["size"],
	});
	await client.products.createVariant({ id: parent.id, options: { size: "M" } });
	const single = await makeProduct(shop, admin, { name: "Scarf" });
	const pages = {
		"/products?q=scarf": ["Catalogue", "Scarf"],
		"/products/new": ["New product", "Add attribute"],
		"/products/import": ["Import products", "CSV or NDJSON file"],
		[`/products/${parent.id}`]: ["Jacket", "Adjust …"],
		[`/products/${parent.id}/edit`]: ["Edit Jacket", "Add attribute"],
		[`/products/${parent.id}/new-variant`]: ["New variant of Jacket", "Options"],
		[`/products/${single.id}`]: ["Scarf", "On hand"],
	} as const;
	expect(await problemsOf(pages)).toEqual([]);
	await console.goto(`/products/${single.id}`);
	for (const name of ["Adjust", "Set"]) {
		await console.button(`${name} … stock of Scarf`).click();
		expect(await console.violations()).toEqual([]);
		await console.page.keyboard.press("Escape");
	}
});

testInBrowser("the catalogue works while the inventory is down", async () => {
	const { id } = await makeProduct(shop, admin, { name: "Unknown stock" });
	await shop.broker.destroyService("inventory");
	await console.page.reload();
	await link("Unknown stock").waitFor();
	await console.page.getByText("The service does not respond.").waitFor();
	await link("Unknown stock").click();
	await console.panel("Stock").getByRole("button", { name: "Retry" }).waitFor();
	await link("Edit").click();
	await label("Name").fill("Renamed");
	await console.button("Save").click();
	await console.shows("Renamed");
	expect((await client.products.get({ id })).name).toBe("Renamed");
	await console.section("Catalogue");
	await console.button("Export CSV").click();
	await console.page.locator(".toast").getByText("does not respond.").waitFor();
});
