import { expect } from "@jest/globals";
import { type Client, createClient } from "../../clients/typescript/src/index.ts";
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
	page: ["", "Overview"],
	onStart(started) {
		({ shop, admin } = started);
		client = clientOf(shop, admin);
	},
	onOpen(opened) {
		console = opened;
	},
});

const label = (text: string) => console.page.getByLabel(text, { exact: true });
const named = (name: string) => console.page.locator(`[name="${name}"]`);
const link = (text: string) => console.page.getByRole("link", { name: text, exact: true });
const rowOf = (text: string) => console.page.getByRole("row").filter({ has: link(text) });
const invalid = (name: string) => console.page.locator(`[aria-invalid=true][name="${name}"]`);
/** Value beside a term of a panel. */
const fact = (panel: string, term: string) =>
	console.panel(panel).locator("dl > div").filter({ hasText: term }).getByRole("definition");
const confirmDeletion = async () => {
	await console.button("Delete …").click();
	await console.choose("Delete");
};
/** Finds a product by its name and adds it. */
const addProduct = async (field: string, name: string) => {
	await label(field).fill(name);
	await console.button(`Add ${name}`).click();
};

testInBrowser("a promotion is created, and a preview shows its effect", async () => {
	await makeProduct(shop, admin, { name: "Teapot", price: 40 });
	await console.section("Promotions");
	await console.page.getByText("No promotions yet.").waitFor();
	await link("New promotion").click();
	await label("Name").fill("Summer sale");
	await label("Code").fill("SUMMER");
	await label("Percent").fill("150");
	await label("Minimum subtotal").fill("50");
	await label("Uses").fill("100");
	await console.button("Create promotion").click();
	await invalid("effect.value").waitFor();
	await label("Percent").fill("10");
	await console.button("Create promotion").click();
	await console.shows("Summer sale");
	await console.panel("Use").getByText("0 of 100 orders").waitFor();

	await link("Preview prices").click();
	await console.shows("Price preview");
	expect(await label("Coupon codes").inputValue()).toBe("SUMMER");
	await console.button("Calculate").click();
	await console.page.getByRole("alert").getByText("Add a product.").waitFor();
	await addProduct("Add a product", "Teapot");
	const cap = await makeProduct(shop, admin, { name: "Cap", option_names: ["size"] });
	await client.products.createVariant({ id: cap.id, options: { size: "L" } });
	await label("Add a product").fill("cap");
	await console.button("Variants of Cap").click();
	await console.button("Add Cap (L)").click();
	await link("Cap (L)").waitFor();
	await console.button("Remove product 2").click();
	await console.button("Calculate").click();
	await console.panel("Promotions").getByText("No promotion applies.").waitFor();
	await fact("Totals", "Total").last().getByText("€40.00").waitFor();
	await label("Quantity of product 1").fill("2");
	await console.button("Calculate").click();
	await console.panel("Promotions").getByText("-€8.00").waitFor();
	await fact("Totals", "Total").last().getByText("€72.00").waitFor();
	await label("Quantity of product 1").fill("200");
	await console.button("Calculate").click();
	await console.page.getByText("Teapot: The stock is less than the quantity.").waitFor();

	await console.section("Promotions");
	await rowOf("Summer sale").getByText("active").waitFor();
	await rowOf("Summer sale").getByText("10 % off").waitFor();
	await link("Summer sale").click();
	await label("Percent").fill("20");
	await label("Ends").fill("2020-01-01T00:00:00");
	await console.button("Save").click();
	await console.panel("Use").getByText("ended").waitFor();
	await confirmDeletion();
	await console.confirms("Summer sale is deleted.");
	await console.page.getByText("No promotions yet.").waitFor();
	expect(console.problems).toEqual([]);
});

testInBrowser("promotions of every kind have conditions, limits and a period", async () => {
	const { id } = await makeProduct(shop, admin, { name: "Cup", category: "Kitchen" });
	await console.goto("/promotions/new");
	await label("Name").fill("Three for two");
	await label("Kind").selectOption("Buy X, get Y free");
	await label("Buy").fill("2");
	await label("Get free").fill("1");
	await addProduct("Add products", "Cup");
	await label("Categories").fill("Kitchen\nGarden");
	await label("Only the first order of a customer").check();
	await label("Can be combined with other promotions").uncheck();
	await label("Accounts").fill("not an ID");
	await label("Starts").fill("2030-01-01T00:00:00");
	await label("Budget").fill("99.5");
	await label("Priority").fill("7");
	await console.button("Create promotion").click();
	await invalid("conditions.user_ids").waitFor();
	await label("Accounts").fill(admin.id);
	await console.button("Create promotion").click();
	await console.shows("Three for two");
	await console.panel("Use").getByText("scheduled").waitFor();
	const [created] = await client.promotions.list();
	expect(created).toMatchObject({
		code: null,
		effect: { type: "buy_x_get_y", buy: 2, get: 1 },
		conditions: {
			product_ids: [id],
			categories: ["Kitchen", "Garden"],
			user_ids: [admin.id],
			first_order: true,
		},
		combinable: false,
		starts_at: expect.stringMatching(/^20(29|30)-/),
		budget: 99.5,
		priority: 7,
	});

	expect(await label("Currency").isEditable()).toBe(false);
	await label("Kind").selectOption("Amount off");
	await label("Amount").fill("3.50");
	await console.button(`Remove product ${id}`).click();
	await label("Budget").fill("");
	await console.button("Save").click();
	await console.confirms("The promotion is saved.");
	const { updated_at: _, ...changed } = await client.promotions.get({ id: created!.id });
	expect(changed).toMatchObject({
		effect: { type: "amount_off", value: 3.5 },
		budget: null,
		starts_at: created!.starts_at,
	});
	expect(changed.conditions).not.toHaveProperty("product_ids");
	await label("Kind").selectOption("Free shipping");
	await console.button("Save").click();
	await eventually(async () =>
		expect((await client.promotions.get({ id: created!.id })).effect).toEqual({
			type: "free_shipping",
		}),
	);
	await client.promotions.remove({ id: created!.id });
});

testInBrowser("the table of tax rates is edited as a whole, with errors at its rows", async () => {
	await console.section("Tax");
	for (const [i, [country, category, name, rate]] of [
		["de", "", "VAT", "19"],
		["XX", "Books", "Reduced VAT", "7"],
	].entries()) {
		await console.button("Add rate").click();
		await named(`[${i}].country`).fill(country!);
		await named(`[${i}].category`).fill(category!);
		await named(`[${i}].name`).fill(name!);
		await named(`[${i}].rate`).fill(rate!);
	}
	await console.button("Save all rates").click();
	await invalid("[1].country").waitFor();
	await console.page.getByText("Enter the ISO 3166-1 alpha-2 code").waitFor();
	await named("[1].country").fill("DE");
	await console.button("Save all rates").click();
	await console.confirms("The tax rates are saved.");
	expect(await client.tax.rates()).toEqual([
		{ country: "DE", region: null, category: null, name: "VAT", rate: 0.19 },
		{ country: "DE", region: null, category: "Books", name: "Reduced VAT", rate: 0.07 },
	]);

	await named("[1].category").fill("");
	await console.button("Save all rates").click();
	await console.page.getByText("Row 1 has the same country").waitFor();
	await client.tax.setRates({ rates: [{ country: "AT", name: "USt", rate: 0.2 }] });
	await console.button("Remove rate 2").click();
	await console.button("Save all rates").click();
	await console.page.getByText("Another user has changed the rates").waitFor();
	await console.page.getByText("Added: AT, USt, 20 %").waitFor();
	await console.page.getByText("Removed: DE, Books, Reduced VAT, 7 %").waitFor();
	expect(await named("[0].country").inputValue()).toBe("DE");
	await console.button("Save all rates").click();
	await eventually(async () =>
		expect(await client.tax.rates()).toMatchObject([{ country: "DE", rate: 0.19 }]),
	);

	await console.button("Remove rate 1").click();
	await console.button("Save all rates").click();
	await console.choose("Remove all");
	await eventually(async () => expect(await client.tax.rates()).toEqual([]));
	expect(console.problems).toEqual([]);
});

testInBrowser("rows of a form are added, moved and removed with the keyboard alone", async () => {
	await console.goto("/shipping/new");
	const { keyboard } = console.page;
	const focused = () =>
		console.page.evaluate<string>(
			"document.activeElement.name || document.activeElement.ariaLabel " +
				"|| document.activeElement.textContent",
		);
	await console.button("Add tier").focus();
	await keyboard.press("Enter");
	expect(await focused()).toBe("tiers[0].up_to_subtotal");
	await keyboard.type("10");
	await console.button("Add tier").focus();
	await keyboard.press("Enter");
	expect(await focused()).toBe("tiers[1].up_to_subtotal");
	await keyboard.type("20");
	for (let i = 0; i < 3; i++) await keyboard.press("Tab");
	expect(await focused()).toBe("Move tier 2 up");
	await keyboard.press("Enter");
	expect(await named("tiers[0].up_to_subtotal").inputValue()).toBe("20");
	expect(await focused()).toBe("Remove tier 1");
	await keyboard.press("Enter");
	expect(await named("tiers[0].up_to_subtotal").inputValue()).toBe("10");
	expect(await focused()).toBe("Add tier");
});

/** Submits a new shipping method whose tier has no limit, and waits until the field is rejected. */
async function submitWithoutLimit(): Promise<void> {
	await label("Code").fill("express");
	await label("Name").fill("Express");
	await label("Countries").fill("de, at");
	await named("price").fill("12.5");
	await console.button("Add tier").click();
	await named("tiers[0].price").fill("9.99");
	await console.button("Create shipping method").click();
	await invalid("tiers[0].up_to_subtotal").waitFor();
}

/** Records which titles and rejected fields are visible in a frame without having the focus. */
const RECORD_FOCUS = `{
	globalThis.unfocused = [];
	let { textContent: title } = document.querySelector("h1");
	let rejected = null;
	const look = () => {
		const heading = document.querySelector("h1");
		const field = document.querySelector("[aria-invalid=true]");
		if (heading && heading.textContent !== title && document.activeElement !== heading)
			unfocused.push(heading.textContent);
		if (field && !rejected && document.activeElement !== field) unfocused.push(field.name);
		title = heading?.textContent;
		rejected = field;
		requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
}`;

testInBrowser("the focus moves before a new page or a rejected field is visible", async () => {
	/** Waits until the current state was recorded. */
	const frame = () => console.page.evaluate("new Promise(requestAnimationFrame)");
	await console.page.evaluate(RECORD_FOCUS);
	await console.section("Shipping methods");
	await frame();
	await link("New shipping method").click();
	await console.shows("New shipping method");
	await frame();
	await submitWithoutLimit();
	await frame();
	expect(await console.page.evaluate("unfocused")).toEqual([]);
});

testInBrowser("a shipping method is created with tiers, moved and deleted", async () => {
	await console.section("Shipping methods");
	await link("New shipping method").click();
	await submitWithoutLimit();
	await named("tiers[0].up_to_weight").fill("2000");
	await console.button("Add tier").click();
	await named("tiers[1].up_to_subtotal").fill("20");
	await named("tiers[1].price").fill("15");
	await console.button("Move tier 2 up").click();
	await console.button("Create shipping method").click();
	await console.confirms("Express is created.");
	expect(await client.shipping.methods()).toMatchObject([
		{
			code: "express",
			countries: ["DE", "AT"],
			price: 12.5,
			tiers: [
				{ up_to_subtotal: 20, price: 15 },
				{ up_to_weight: 2000, price: 9.99 },
			],
		},
	]);

	await link("Express").click();
	await console.shows("Express");
	await label("Position").fill("3");
	await label("Free from").fill("100");
	await console.button("Remove tier 1").click();
	await console.button("Save").click();
	await rowOf("Express").getByText("€100.00").waitFor();
	expect(await client.shipping.methods()).toMatchObject([
		{ position: 3, free_from: 100, tiers: [{ up_to_weight: 2000 }] },
	]);
	await link("Express").click();
	await confirmDeletion();
	await console.confirms("Express is deleted.");
	await console.page.getByText("every order has free standard shipping").waitFor();
	expect(console.problems).toEqual([]);
});

testInBrowser("an existing cart is previewed with tax, shipping and another address", async () => {
	const book = await makeProduct(shop, admin, { name: "Novel", price: 10.7 });
	await client.tax.setRates({ rates: [{ country: "DE", name: "VAT", rate: 0.07 }] });
	const method = { code: "post", name: "Post", price: 3, countries: ["DE"] };
	await client.shipping.createMethod(method);
	// Only the codes of methods are unique.
	const others = ["post-by-air", "post-by-sea"];
	for (const code of others) await client.shipping.createMethod({ ...method, code, price: 9 });
	const guest = createClient({ url: shop.url });
	const { id, token } = await guest.carts.create({});
	await guest.carts.setLine(
		{ id, product_id: book.id, quantity: 3 },
		{ ...(token ? { cartToken: token } : {}) },
	);

	await console.section("Price preview");
	await label("ID of a cart").fill(id);
	await console.button("Load cart").click();
	await console.panel("Cart (open)").getByText("Novel").waitFor();
	await console.reaches(`/preview?cart=${id}`);
	await label("Country").fill("DE");
	await console.button("Calculate").click();
	await invalid("postal_code").waitFor();
	await label("Postal code").fill("10115");
	await console.button("Calculate").click();
	await console.panel("Shipping methods").getByText("Post (applied)").waitFor();
	const methods = console.panel("Shipping methods").locator("dl > div");
	expect(await methods.allTextContents()).toEqual([
		"Post (applied)€3.00",
		"Post€9.00",
		"Post€9.00",
	]);
	await fact("Taxes", "VAT 7 %").getByText("€2.30").waitFor();
	await fact("Totals", "Total").last().getByText("€35.10").waitFor();
	await console.page.getByText("A guest needs an e-mail address to order.").waitFor();
	await label("Country").fill("AT");
	await label("Postal code").fill("1010");
	await console.button("Calculate").click();
	await console.page.getByText("No shipping method delivers the cart.").waitFor();
	await label("Country").fill("XX");
	await console.button("Calculate").click();
	await invalid("country").waitFor();
	for (const code of ["post", ...others]) await client.shipping.removeMethod({ code });
	await client.tax.setRates({ rates: [] });
	expect(console.problems).toEqual([]);
});

testInBrowser("axe-core reports no violation on the pages, which fit a narrow screen", async () => {
	const product = await makeProduct(shop, admin, { name: "Visible" });
	const { id } = await client.promotions.create({
		name: "Everything",
		code: "ALL",
		effect: { type: "percent_off", value: 5 },
		conditions: { product_ids: [product.id] },
	});
	await client.tax.setRates({
		rates: ["DE", "AT"].map((country) => ({ country, name: "VAT", rate: 0.19 })),
	});
	const tiers = [{ up_to_weight: 1000, price: 2 }];
	await client.shipping.createMethod({ code: "slow", name: "Slow", price: 3, tiers });
	expect(
		await problemsOf({
			"/promotions": ["Promotions", "Everything"],
			"/promotions/new": ["New promotion", "Conditions"],
			[`/promotions/${id}`]: ["Everything", "Visible"],
			"/tax": ["Tax", "Add rate"],
			"/shipping": ["Shipping methods", "Slow"],
			"/shipping/new": ["New shipping method", "Add tier"],
			"/shipping/slow": ["Slow", "Add tier"],
			[`/preview?product=${product.id}`]: ["Price preview", "Visible"],
		}),
	).toEqual([]);
	await console.goto(`/preview?product=${product.id}`);
	await label("Coupon codes").fill("ALL");
	await console.button("Calculate").click();
	await console.panel("Promotions").getByText("-€0.50").waitFor();
	expect(await console.violations()).toEqual([]);
});

testInBrowser("sections work while another service is down", async () => {
	const product = await makeProduct(shop, admin);
	const { id } = await client.promotions.create({
		name: "With products",
		effect: { type: "percent_off", value: 5 },
		conditions: { product_ids: [product.id] },
	});
	await client.tax.setRates({ rates: [{ country: "DE", name: "VAT", rate: 0.19 }] });
	await shop.broker.destroyService("products");
	await console.goto(`/promotions/${id}`);
	await console.shows("With products");
	await console.page.getByText("(name not available)").waitFor();
	await label("Name").fill("Without products");
	await console.button("Save").click();
	await console.shows("Without products");
	await shop.broker.destroyService("promotions");
	await console.section("Promotions");
	await console.page.getByText("The service does not respond.").waitFor();
	await console.button("Retry").waitFor();
	await console.section("Tax");
	await named("[0].rate").fill("20");
	await console.button("Save all rates").click();
	await console.confirms("The tax rates are saved.");
});
