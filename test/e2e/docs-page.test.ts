import { afterAll, beforeAll, expect } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { chromiumPath, startBrowser, testInBrowser } from "../support/browser.ts";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	orderRequest,
	register,
} from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually, LIMIT_MS } from "../support/eventually.ts";
import { type Shop, startShop } from "../support/shop.ts";

let shop: Shop;
let browser: Browser;
let customer: Customer;
beforeAll(async () => {
	if (!chromiumPath) return;
	shop = await startShop();
	customer = await register(shop);
	browser = await startBrowser();
});
afterAll(async () => {
	await browser?.close();
	await shop?.stop();
});

/** Sends a POST request with "Try it out". @returns the displayed status */
async function tryOut(page: Page, path: string, body: object): Promise<string> {
	const block = page
		.locator(".opblock-post")
		.filter({ has: page.locator(`[data-path="${path}"]`) });
	await block.locator(".opblock-summary-control").click();
	await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
	await block.locator("button.execute").click();
	const status = block.locator(".live-responses-table .response .response-col_status").first();
	await status.waitFor();
	return (await status.textContent())!.trim().slice(0, 3);
}

testInBrowser("users can log in and place an order on /docs without internet access", async () => {
	expect(chromiumPath).toBeDefined();
	const product = await makeProduct(shop, await makeAdmin(shop));
	const page = await browser.newPage();
	page.setDefaultTimeout(LIMIT_MS);
	const external: string[] = [];
	const problems: string[] = [];
	page.on("request", (request) => {
		if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(shop.url))
			external.push(request.url());
	});
	page.on("pageerror", (error) => problems.push(error.message));
	page.on("console", (message) => {
		if (message.type() === "error") problems.push(message.text());
	});
	await page.goto(`${shop.url}/docs`);
	const { email, password } = customer;
	expect(await tryOut(page, "/api/users/login", { email, password })).toBe("200");
	expect(await tryOut(page, "/api/orders", orderRequest(product))).toBe("201");
	await eventually(async () => {
		const orders = await clientOf(shop, customer).orders.list();
		expect(orders).toMatchObject([{ status: "confirmed", user_id: customer.id }]);
	});
	expect(external).toEqual([]);
	expect(problems).toEqual([]);
});
