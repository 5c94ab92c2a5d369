import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { chromiumPath, startBrowser, testInBrowser } from "../../test/support/browser.ts";
import { makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { build } from "./build.ts";

let dist: string;
let site: Server;
let origin: string;
let shop: Shop;
let browser: Browser;
let page: Page;
/** Starts a shop, and a site of another origin with the built client. */
beforeAll(async () => {
	if (!chromiumPath) return;
	dist = join(mkdtempSync(join(tmpdir(), "moleculer-commerce-client-")), "dist");
	await build(dist);
	site = createServer(({ url = "/" }, res) => {
		if (!url.endsWith(".js"))
			return res.setHeader("content-type", "text/html").end("<title>Site</title>");
		return res.setHeader("content-type", "text/javascript").end(readFileSync(join(dist, url)));
	});
	await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
	origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
	shop = await startShop({ env: { CORS_ORIGINS: origin } });
	browser = await startBrowser();
	page = await browser.newPage();
	await page.goto(origin);
});
afterAll(async () => {
	await browser?.close();
	await shop?.stop();
	site?.closeAllConnections();
	site?.close();
	if (dist) rmSync(join(dist, ".."), { recursive: true, force: true });
});

testInBrowser(
	"a page of another origin orders, follows the order, imports and exports",
	async () => {
		const root = await makeAdmin(shop);
		const setUp = {
			url: shop.url,
			account: await register(shop),
			root: { email: root.email, password: root.password },
			product_id: (await makeProduct(shop, root)).id,
			index: "/index.js",
		};
		const found = await page.evaluate(async ({ url, account, root, product_id, index }) => {
			const { createClient, isProblem } = (await import(
				index
			)) as typeof import("../../clients/typescript/src/index.ts");
			const customer = createClient({ url });
			const admin = createClient({ url });
			await customer.signIn(account);
			await admin.signIn(root);
			const { value: order, status } = await customer.orders
				.create({ items: [{ product_id, quantity: 1 }] }, { respondAsync: true })
				.withResponse();
			const types: string[] = [];
			for await (const { type } of customer.orders.events({ id: order.id })) {
				types.push(type);
				if (type === "order.confirmed") await admin.orders.cancel({ id: order.id });
			}
			const cart = await createClient({ url }).carts.create({});
			const guest = createClient({ url, cartToken: cart.token! });
			const { etag } = await guest.carts.get({ id: cart.id }).withResponse();
			const line = { id: cart.id, product_id, quantity: 1 };
			await guest.carts.setLine(line, { ifMatch: etag! });
			const late = await guest.carts.setLine(line, { ifMatch: etag! }).catch((error) => error);
			const file = new Blob(["sku,name,price,category\nA,Tea,1,Drinks\nB,Mug,2,Kitchen\n"]);
			const { created } = await admin.products.importRows(file, { format: "csv" });
			const exported = await admin.products.exportRows({ format: "csv" });
			let products = 0;
			for await (const _ of customer.products.list({ limit: 2 })) products++;
			const { total } = await customer.products.list();
			return {
				...{ status, types, created, products, total },
				isRefused: isProblem(late, "PRECONDITION_FAILED"),
				file: { name: exported.name, lines: (await exported.text()).split("\n").length },
			};
		}, setUp);
		expect(found).toEqual({
			status: 202,
			types: ["order.created", "order.confirmed", "order.cancelled"],
			created: 2,
			products: 3,
			total: 3,
			isRefused: true,
			file: { name: "products.csv", lines: 5 },
		});
	},
);
