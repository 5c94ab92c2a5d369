import { afterAll, beforeAll, expect } from "@jest/globals";
import type { Browser } from "playwright-core";
import { createClient } from "../../clients/typescript/src/index.ts";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
import type { Cluster, ClusterNode } from "../support/cluster.ts";
import { AdminConsole, startBrowser } from "../support/console.ts";
import { type Pairs, startPairs } from "../support/pairs.ts";
import { describeWith } from "../support/servers.ts";

const TIMEOUT_MS = 120_000;

describeWith(["nats-server", "redis-server"], "the console of a cluster", () => {
	let pairs: Pairs;
	let cluster: Cluster;
	let browser: Browser;
	let console: AdminConsole;
	let admin: Customer;
	beforeAll(async () => {
		[pairs, browser] = await Promise.all([startPairs({ each: 1 }), startBrowser()]);
		({ cluster } = pairs);
		const [gateway] = pairs.gateways();
		admin = await makeAdmin({ ...cluster, http: gateway!.http });
		console = await AdminConsole.open(browser, gateway!.url, "/orders");
		await console.signIn(admin);
		await console.shows("Orders");
	}, TIMEOUT_MS);
	afterAll(async () => {
		await browser?.close();
		await cluster?.stop();
	}, TIMEOUT_MS);

	const row = ({ id }: ClusterNode) => console.page.getByRole("row").filter({ hasText: id });

	testInBrowser(
		"an order appears and is shipped, and shows its payment again after an outage",
		async () => {
			const [gateway] = pairs.gateways();
			const shop = { ...cluster, http: gateway!.http };
			const [customer, product] = [await register(shop), await makeProduct(shop, admin)];
			const client = createClient({ url: gateway!.url });
			await client.signIn(customer);
			const { id } = await client.orders.create({
				items: [{ product_id: product.id, quantity: 1 }],
			});
			await console.page.locator(`a[href="/console/orders/${id}"]`).click();
			await console.shows(`Order ${id}`);
			await console.button("Ship").click();
			await console.panel("Timeline").getByText("order shipped").first().waitFor();
			expect((await client.orders.get({ id })).status).toBe("shipped");

			const payments = console.panel("Payments");
			await pairs.takeOut("money").process.term();
			await console.page.reload();
			await console.panel("Summary").getByText("shipped").waitFor();
			await payments.getByRole("alert").waitFor();
			await pairs.add("money");
			await payments.getByRole("button", { name: "Retry" }).click();
			await payments.getByText("captured", { exact: true }).waitFor();
			expect(console.problems).toEqual([]);
		},
		TIMEOUT_MS,
	);

	testInBrowser(
		"a killed node disappears, and its replacement appears",
		async () => {
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
		},
		TIMEOUT_MS,
	);
});
