import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { login, makeAdmin, register } from "../../../test/support/builders.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";
import { type Client, createClient, isProblem } from "../src/index.ts";

let shop: Shop;
let admin: Client;
let customer: Client;
beforeAll(async () => {
	shop = await startShop();
	const url = shop.url;
	const root = await makeAdmin(shop);
	admin = createClient({ url, tokens: { access_token: root.token } });
	const account = await register(shop);
	await login(shop, account);
	customer = createClient({ url });
	await customer.signIn(account);
}, 60_000);
afterAll(() => shop?.stop());

test("a customer orders a product and follows its events", async () => {
	const product = await admin.products.create({
		name: "Tea",
		category: "Drinks",
		price: 3.5,
		stock: 10,
		attributes: { color: "green & black" },
	});
	const found = await customer.products.list({ attributes: undefined, q: "Tea" } as never);
	expect(found.total).toBe(1);
	const order = await customer.orders.create({ items: [{ product_id: product.id, quantity: 2 }] });
	expect(order).toMatchObject({ status: "confirmed", total_amount: 7 });
	const types: string[] = [];
	for await (const { type } of customer.orders.events({ id: order.id })) {
		types.push(type);
		if (type === "order.confirmed") await admin.orders.ship({ id: order.id });
		if (type === "order.shipped") await admin.orders.deliver({ id: order.id });
	}
	expect(types).toEqual(["order.created", "order.confirmed", "order.shipped", "order.delivered"]);
	const error = await customer.orders
		.create({ items: [{ product_id: product.id, quantity: 20 }] })
		.catch((error: unknown) => error);
	expect(isProblem(error, "OUT_OF_STOCK")).toBe(true);
});

test("an administrator imports and exports products", async () => {
	const rows = Array.from({ length: 1200 }, (_, i) => `S${i},Product ${i},${i % 50},Things`);
	const upload = admin.products.importRows(
		new Blob([["sku,name,price,category", ...rows].join("\n")]),
		{ format: "csv" },
	);
	const lines: object[] = [];
	for await (const line of upload) lines.push(line);
	expect(lines.at(-1)).toMatchObject({ done: true, created: 1200, failed: 0 });
	expect(await upload).toBe(lines.at(-1));
	const file = await admin.products.exportRows({ format: "ndjson" });
	expect((await file.text()).split("\n").length).toBeGreaterThan(1200);
	let count = 0;
	for await (const _ of customer.products.list({ category: "Things" })) count++;
	expect(count).toBe(1200);
});
