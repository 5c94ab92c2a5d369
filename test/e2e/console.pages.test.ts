import { expect } from "@jest/globals";
import type { Browser } from "playwright-core";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeProduct, placeOrder } from "../support/builders.ts";
import { AdminConsole } from "../support/console.ts";
import { type ConsolePages, NARROW } from "../support/console-pages.ts";
import { consoleShop } from "../support/console-shop.ts";
import type { Shop } from "../support/shop.ts";

let shop: Shop;
let browser: Browser;
let admin: Customer;
let pages: ConsolePages;

consoleShop({
	async onStart(started) {
		({ shop, browser, admin } = started);
		const product = await makeProduct(shop, admin);
		const order = (await placeOrder(shop, admin, product)).body;
		pages = {
			"": ["Overview", "Dead letters"],
			"/cluster": ["Cluster", "Event loop delay"],
			"/orders": ["Orders", "€10.00"],
			[`/orders/${order.id}`]: [`Order ${order.id}`, "order confirmed"],
			"/nowhere": ["Page not found", "This page does not exist."],
		};
	},
});

testInBrowser("axe-core reports no violation on any page, in both themes", async () => {
	const console = await AdminConsole.open(browser, shop.url);
	const assertNoViolation = async (place: string) => {
		for (const theme of ["light", "dark"] as const) {
			await console.useTheme(theme);
			const violations = await console.violations();
			expect({ place, theme, violations }).toEqual({ place, theme, violations: [] });
		}
	};
	await console.shows("Sign in");
	await assertNoViolation("Sign in");
	await console.signIn(admin);
	await console.shows("Overview");
	for (const [path, [title, loaded]] of Object.entries(pages)) {
		await console.visit(path);
		await console.shows(title);
		await console.page.getByText(loaded).first().waitFor();
		await assertNoViolation(path);
	}
	await console.visit(Object.keys(pages).find((path) => path.startsWith("/orders/"))!);
	for (const button of ["Refund …", "Cancel order …"]) {
		await console.button(button).click();
		await assertNoViolation(button);
		await console.page.keyboard.press("Escape");
	}
	expect(console.problems).toEqual([]);
	await console.close();
});

testInBrowser("pages fit a narrow screen, and the theme can be changed", async () => {
	const console = await AdminConsole.open(browser, shop.url, "", { ...NARROW, admin });
	await console.shows("Overview");
	await console.button("Dark mode").click();
	for (const [path, [title, loaded]] of Object.entries(pages)) {
		await console.goto(path);
		await console.shows(title);
		await console.page.getByText(loaded).first().waitFor();
		const width = await console.page.evaluate("document.documentElement.scrollWidth");
		expect({ path, width }).toEqual({ path, width: NARROW.width });
		expect(await console.page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
	}
	await console.button("Menu").click();
	await console.section("Orders");
	await console.page.getByRole("button", { name: "Menu", expanded: false }).waitFor();
	await console.close();
});

testInBrowser("an order is found, opened and shipped with the keyboard alone", async () => {
	const product = await makeProduct(shop, admin, { name: "By keyboard" });
	const { id } = (await placeOrder(shop, admin, product)).body;
	const console = await AdminConsole.open(browser, shop.url);
	const { keyboard } = console.page;
	/** Accessible text of the focused element. */
	const focused = () =>
		console.page.evaluate<string>(
			"(document.activeElement.labels?.[0] ?? document.activeElement).textContent",
		);
	/** Presses Tab until an element has the focus. */
	const tabTo = async (text: string) => {
		for (let i = 0; (await focused()) !== text; i++) {
			if (i === 60) throw new Error(`"${text}" cannot be reached with the keyboard`);
			await keyboard.press("Tab");
		}
	};
	await console.shows("Sign in");
	await tabTo("E-mail address");
	await keyboard.type(admin.email);
	await tabTo("Password");
	await keyboard.type(admin.password);
	await keyboard.press("Enter");
	await console.shows("Overview");
	expect(await focused()).toBe("Overview");

	await console.page.reload();
	await console.shows("Overview");
	await keyboard.press("Tab");
	expect(await focused()).toBe("Skip to content");
	await tabTo("Orders");
	await keyboard.press("Enter");
	await console.shows("Orders");
	expect(await focused()).toBe("Orders");
	await console.page.locator(`a[href="/console/orders/${id}"]`).waitFor();
	await tabTo(`…${id.slice(-8)}`);
	await keyboard.press("Enter");
	await console.shows(`Order ${id}`);
	await console.button("Cancel order …").waitFor();
	await tabTo("Cancel order …");
	await keyboard.press("Enter");
	await console.dialog().waitFor();
	await keyboard.press("Escape");
	await console.dialog().waitFor({ state: "hidden" });
	expect(await focused()).toBe("Cancel order …");
	await keyboard.press("Shift+Tab");
	await keyboard.press("Shift+Tab");
	expect(await focused()).toBe("Ship");
	await keyboard.press("Enter");
	await console.confirms("The order is shipped.");
	await console.button("Mark as delivered").waitFor();
	expect(await focused()).toBe(`Order ${id}`);
	await console.page.goBack();
	await console.shows("Orders");
	await console.close();
});

testInBrowser(
	"while a service is down, its part shows the error and everything else works",
	async () => {
		const order = Object.keys(pages).find((path) => path.startsWith("/orders/"))!;
		const console = await AdminConsole.open(browser, shop.url, order, { admin });
		const payments = console.panel("Payments");
		await payments.getByText("captured", { exact: true }).waitFor();
		const stopped = shop.broker.getLocalService("payments");
		await shop.broker.destroyService(stopped);
		await payments.getByText("The service does not respond.").waitFor();
		// The last data remains, and the other parts are complete.
		await payments.getByText("captured", { exact: true }).waitFor();
		await console.page.reload();
		await payments.getByRole("button", { name: "Retry" }).waitFor();
		await console.panel("Summary").getByText("confirmed").waitFor();
		await console.panel("Timeline").getByText("Without the entries of payments").waitFor();
		await console.section("Cluster");
		await console.section("Orders");
		await console.page.getByText("€10.00").first().waitFor();
		await shop.broker.destroyService("orders");
		await console.page.getByText("The service does not respond.").waitFor();
		await console.section("Overview");
		await console.panel("Orders").getByRole("button", { name: "Retry" }).waitFor();
		await console.panel("HTTP requests").getByText("Mean latency").waitFor();
		expect(console.problems).toEqual([]);
		await console.close();
	},
);
