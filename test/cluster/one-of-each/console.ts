import { afterAll, beforeAll, expect } from "@jest/globals";
import type { Browser } from "playwright-core";
import { type Client, createClient } from "../../../clients/typescript/src/index.ts";
import { chromiumPath, startBrowser, testInBrowser } from "../../support/browser.ts";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	register,
	untilSettled,
} from "../../support/builders.ts";
import type { Cluster, ClusterNode } from "../../support/cluster.ts";
import { AdminConsole } from "../../support/console.ts";
import { eventually } from "../../support/eventually.ts";
import { afterOutage } from "../../support/outages.ts";
import type { Pairs } from "../../support/pairs.ts";

/** Tests of the admin console. They require a cluster with two attempts for each event. */
export const adminConsole = (open: () => Pairs) => {
	let pairs: Pairs;
	let cluster: Cluster;
	let browser: Browser;
	let console: AdminConsole;
	let admin: Customer;
	let customer: Customer;
	let client: Client;
	const shop = () => ({ ...cluster, http: pairs.gateways()[0]!.http });
	beforeAll(async () => {
		if (!chromiumPath) return;
		pairs = open();
		({ cluster } = pairs);
		browser = await startBrowser();
		const { url } = pairs.gateways()[0]!;
		[admin, customer] = [await makeAdmin(shop()), await register(shop())];
		client = createClient({ url });
		await afterOutage(() => client.signIn(customer));
		console = await AdminConsole.open(browser, url, "/orders", { admin });
		await console.shows("Orders");
	});
	afterAll(() => browser?.close());

	testInBrowser(
		"an order appears, is shipped and refunded by half, and shows its payment after an outage",
		async () => {
			const product = await makeProduct(shop(), admin);
			const items = [{ product_id: product.id, quantity: 2 }];
			const { id, total_amount } = await untilSettled((idempotencyKey) =>
				client.orders.create({ items }, { idempotencyKey }),
			);
			await console.page.locator(`a[href="/console/orders/${id}"]`).click();
			await console.shows(`Order ${id}`);
			await console.button("Ship").click();
			await console.panel("Timeline").getByText("order shipped").first().waitFor();
			await console.button("Refund …").click();
			await console.button("Half of the order").click();
			await console.choose("Refund");
			const payments = console.panel("Payments");
			await payments.getByText("partially refunded").waitFor();
			expect(await client.orders.get({ id })).toMatchObject({
				status: "shipped",
				refunds: [{ amount: total_amount / 2 }],
			});

			await pairs.takeOut("money").process.term();
			await console.page.reload();
			await console.panel("Summary").getByText("shipped").waitFor();
			await payments.getByRole("alert").waitFor();
			await pairs.add("money");
			await payments.getByRole("button", { name: "Retry" }).click();
			await payments.getByText("partially refunded").waitFor();
			expect(console.problems).toEqual([]);
		},
	);

	const row = ({ id }: ClusterNode) => console.page.getByRole("row").filter({ hasText: id });
	testInBrowser("a killed node disappears, and its replacement appears", async () => {
		const node = await cluster.start("orders-x", ["orders"]);
		await console.section("Cluster");
		await row(node).getByText("up", { exact: true }).waitFor();
		await node.process.kill();
		await row(node).waitFor({ state: "detached" });
		const next = await cluster.start("orders-x", ["orders"]);
		await row(next).getByText("up", { exact: true }).waitFor();
		expect(await console.violations()).toEqual([]);
		expect(console.problems).toEqual([]);
		expect(await next.process.term()).toBe(0);
	});

	testInBrowser("a dead letter is retried", async () => {
		const change = (constraint: string) =>
			cluster.databases.query("notifications", `alter table messages ${constraint}`);
		await change("add constraint broken check (false) not valid");
		const { id } = await register(shop());
		await console.goto("/failures");
		await console.page.getByRole("link", { name: "user.created" }).click();
		await console.panel("Content").getByText(`"user_id": "${id}"`).waitFor();
		await change("drop constraint broken");
		await console.button("Retry").click();
		await console.page.getByText("No dead letter: every event is processed").waitFor();
		await eventually(async () => {
			const [found] = await cluster.databases.query<{ count: string }>(
				"notifications",
				"select count(*) from messages where user_id = $1",
				[id],
			);
			expect(found).toEqual({ count: "1" });
		});
		expect(console.problems).toEqual([]);
	});

	testInBrowser("1,000 products are imported after a session has ended", async () => {
		await console.goto("/products/import");
		await console.shows("Import products");
		await shop().http("POST /api/auth/logout-everywhere", { token: admin.token });
		// The gateway learns of it by an event.
		await eventually(async () =>
			expect((await shop().http("GET /api/users/me", { token: admin.token })).status).toBe(401),
		);
		await console.page.reload();
		await console.shows("Sign in");
		await console.signIn(admin);
		await console.shows("Import products");
		const rows = Array.from({ length: 1000 }, (_, i) => `ROW-${i},Imported ${i},${i},Imported,3`);
		await console.page.locator("input[type=file]").setInputFiles({
			name: "products.csv",
			mimeType: "text/csv",
			buffer: Buffer.from(["sku,name,price,category,stock", ...rows].join("\n")),
		});
		await console.button("Import").click();
		const result = console.panel("products.csv");
		await result.getByText("Completed").waitFor();
		await result.getByText("1,000 of 1,000 rows").waitFor();
		expect((await client.products.list({ category: "Imported" })).total).toBe(1000);
		expect(console.problems).toEqual([]);
	});
};
