import { expect } from "@jest/globals";
import type { Browser } from "playwright-core";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, register } from "../support/builders.ts";
import { AdminConsole } from "../support/console.ts";
import { consoleShop } from "../support/console-shop.ts";
import { eventually } from "../support/eventually.ts";
import type { Shop } from "../support/shop.ts";

let shop: Shop;
let browser: Browser;
let admin: Customer;

consoleShop({
	onStart(started) {
		({ shop, browser, admin } = started);
	},
});

testInBrowser("a deep link leads to its page after the sign-in", async () => {
	const console = await AdminConsole.open(browser, shop.url, "/orders?status=shipped");
	await console.shows("Sign in");
	await console.signIn({ ...admin, password: "wrong" });
	await console.page.getByRole("alert").getByText("Invalid email or password").waitFor();
	await console.signIn(await register(shop));
	await console.page.getByRole("alert").getByText("Only administrators").waitFor();
	await console.signIn(admin);
	await console.shows("Orders");
	await console.reaches("/orders?status=shipped");
	expect(await console.page.title()).toBe("Orders · Admin console");
	expect(await console.page.getByLabel("Status").inputValue()).toBe("shipped");
	expect(await console.page.evaluate("document.cookie")).toBe("");
	await console.page.reload();
	await console.shows("Orders");
	await console.button("Sign out").click();
	await console.shows("Sign in");
	await console.page.reload();
	await console.shows("Sign in");
	expect(console.problems).toEqual([]);
	await console.close();
});

testInBrowser("an expired access token is renewed while the page is used", async () => {
	const console = await AdminConsole.open(browser, shop.url, "/orders");
	await console.signIn(admin);
	await console.shows("Orders");
	await console.context.clearCookies({ name: "console_access" });
	await eventually(async () => {
		const cookies = await console.context.cookies();
		expect(cookies.filter(({ name }) => name === "console_access")).toHaveLength(2);
	});
	await console.shows("Orders");
	expect(await console.page.getByRole("alert").count()).toBe(0);
	await console.close();
});

testInBrowser("an ended session leads to the sign-in without losing the address", async () => {
	const console = await AdminConsole.open(browser, shop.url);
	await console.signIn(admin);
	await console.section("Orders");
	await console.page.getByLabel("Status").selectOption("confirmed");
	await shop.http("POST /api/auth/logout-everywhere", { token: admin.token });
	await console.shows("Sign in");
	await console.reaches("/orders?status=confirmed");
	await console.signIn(admin);
	await console.shows("Orders");
	await console.reaches("/orders?status=confirmed");
	await console.close();
});
