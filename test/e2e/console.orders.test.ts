import { expect } from "@jest/globals";
import type { Client } from "../../clients/typescript/src/index.ts";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeProduct, register, untilSettled } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import type { AdminConsole } from "../support/console.ts";
import { consoleShop } from "../support/console-shop.ts";
import { asAdmin, type Shop } from "../support/shop.ts";

let shop: Shop;
let admin: Customer;
let console: AdminConsole;
let customer: Customer;
let client: Client;
let product: { readonly id: string };

consoleShop({
	page: ["/orders", "Orders"],
	async onStart(started) {
		({ shop, admin } = started);
		customer = await register(shop);
		client = clientOf(shop, customer);
		product = await makeProduct(shop, admin, { price: 10 });
	},
	onOpen(opened) {
		console = opened;
	},
});

/** Places an order through the client. */
const place = (quantity: number) =>
	untilSettled((idempotencyKey) =>
		client.orders.create({ items: [{ product_id: product.id, quantity }] }, { idempotencyKey }),
	);
const link = (id: string) => console.page.locator(`a[href="/console/orders/${id}"]`);

testInBrowser(
	"an order appears without reload, and is shipped, refunded by half and delivered",
	async () => {
		await console.page.getByText("No order matches.").waitFor();
		const { id } = await place(2);
		await link(id).click();
		await console.shows(`Order ${id}`);
		await console.panel("Payments").getByText("captured", { exact: true }).waitFor();
		await console.panel("Timeline").getByText("live", { exact: true }).waitFor();

		await console.button("Ship").click();
		await console.confirms("The order is shipped.");
		await console.panel("Summary").getByText("shipped").waitFor();
		await console.panel("Timeline").getByText("order shipped").first().waitFor();
		await console.panel("Shipment").getByText("Dispatched").waitFor();

		await console.button("Refund …").click();
		await console.button("Half of the order").click();
		await console.dialog().getByLabel("Reason").fill("Damaged");
		await console.choose("Refund");
		await console.confirms("€10.00 is refunded.");
		await console.panel("Items").getByText("Damaged").waitFor();
		await console.panel("Payments").getByText("partially refunded").waitFor();
		const { refunds } = await client.orders.get({ id });
		expect(refunds).toMatchObject([{ amount: 10, items: [{ quantity: 1 }], reason: "Damaged" }]);

		await console.button("Mark as delivered").click();
		await console.panel("Summary").getByText("delivered").waitFor();
		expect((await client.orders.get({ id })).status).toBe("delivered");
		expect(console.problems).toEqual([]);
	},
);

testInBrowser("presets replace edited pieces, and a refunded order offers no refund", async () => {
	const { shipping } = clientOf(shop, admin);
	const { code } = await shipping.createMethod({ code: "standard", name: "Standard", price: 5 });
	const { id } = await place(2);
	await shipping.removeMethod({ code });
	await console.goto(`/orders/${id}`);
	await console.button("Refund …").click();
	const pieces = console.dialog().getByRole("spinbutton");
	for (const preset of ["Half of the order", "Everything"]) {
		await console.button(preset).click();
		await pieces.fill("0");
		await console.button(preset).click();
		expect(await pieces.inputValue()).toBe(preset === "Everything" ? "2" : "1");
	}
	await console.dialog().getByLabel("Also refund shipping").check();
	await console.choose("Refund");
	await console.confirms("€25.00 is refunded.");
	await console.panel("Payments").getByText("refunded", { exact: true }).waitFor();
	await console.button("Refund …").waitFor({ state: "hidden" });
	expect(console.problems).toEqual([]);
});

testInBrowser("changes by others appear live, and cancelling asks first", async () => {
	const [{ id }, other] = [await place(1), await place(1)];
	await console.goto(`/orders/${id}`);
	await console.panel("Timeline").getByText("live", { exact: true }).waitFor();
	await console.button("Cancel order …").click();
	await console.page.keyboard.press("Escape");
	await console.dialog().waitFor({ state: "hidden" });
	expect((await client.orders.get({ id })).status).toBe("confirmed");
	await console.button("Cancel order …").click();
	await console.dialog().getByLabel("Reason").fill("Out of season");
	await console.button("Cancel the order").click();
	await console.panel("Summary").getByText("Out of season").waitFor();
	expect(await client.orders.get({ id })).toMatchObject({ status: "cancelled" });

	await console.goto(`/orders/${other.id}`);
	await console.panel("Summary").getByText("confirmed").waitFor();
	await client.orders.cancel({ id: other.id });
	await console.panel("Summary").getByText("cancelled", { exact: true }).waitFor();
});

testInBrowser("a stuck order is counted, and its compensation retried", async () => {
	const { id } = await place(1);
	await shop.databases.query(
		"orders",
		"update orders set saga_state = 'stuck', " +
			"saga_owner = null, saga_reason = 'Test' where id = $1",
		[id],
	);
	await console.section("Overview");
	await console.panel("Sagas of orders").getByRole("link", { name: "1" }).waitFor();
	await console.goto(`/orders/${id}`);
	await console.button("Retry compensation").click();
	await console.confirms("The compensation is retried.");
	await console.panel("Summary").getByText("cancelled", { exact: true }).waitFor();
	expect(await client.orders.get({ id })).toMatchObject({ status: "cancelled" });
});

testInBrowser("the discounts of an order name their promotions", async () => {
	const { id: promotion_id } = await shop.call(
		"promotions.create",
		{ name: "Opening week", effect: { type: "percent_off", value: 10 }, budget: 50 },
		asAdmin,
	);
	const { id } = await place(2);
	await shop.call("promotions.update", { id: promotion_id, code: "LATER" }, asAdmin);
	await console.goto(`/orders/${id}`);
	const items = console.panel("Items");
	await items.getByText("Discount: Opening week").waitFor();
	await items.getByRole("link", { name: "-€2.00" }).click();
	await console.reaches(`/promotions/${promotion_id}`);
	await console.goto("/promotions");
	await console.page.getByText("€2.00 of €50.00").waitFor();
});

testInBrowser("orders are found by ID, e-mail address, status and time", async () => {
	const { id } = await place(1);
	await link(id).waitFor();
	const search = console.page.getByLabel("Order ID or e-mail address");
	await search.fill("nobody@example.com");
	await console.page.getByText("No order matches.").waitFor();
	await search.fill(customer.email);
	await link(id).waitFor();
	await search.fill(id);
	await console.page.waitForURL(`**/orders?q=${id}`);
	await link(id).waitFor();
	await search.fill(id.slice(0, 8));
	await console.page.getByText("Enter the complete ID").waitFor();
	await search.fill("");
	await console.page.getByLabel("Status").selectOption("delivered");
	await link(id).waitFor({ state: "hidden" });
	await console.page.getByLabel("Status").selectOption("");
	await link(id).waitFor();
	await console.page.getByLabel("Placed before").fill("2020-01-01T00:00");
	await console.page.getByText("No order matches.").waitFor();
});

testInBrowser("a list has pages with addresses of their own", async () => {
	for (let i = 0; i < 26; i++) await place(1);
	await console.page.getByRole("link", { name: "Next" }).click();
	await console.page.getByText(/26 to \d+ of/).waitFor();
	await console.reaches("/orders?page=2");
	await console.page.getByRole("link", { name: "Previous" }).click();
	await console.page.getByText("1 to 25 of").waitFor();
});
