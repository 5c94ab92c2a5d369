import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	register,
	untilSettled,
} from "../../../test/support/builders.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";
import { type Client, createClient, isProblem, SessionEndedError } from "../src/index.ts";
import { startLossyProxy } from "./lossy-proxy.ts";

let shop: Shop;
let admin: Client;
let account: Customer;
let customer: Client;
beforeAll(async () => {
	shop = await startShop();
	admin = createClient({ url: shop.url });
	await admin.signIn(await makeAdmin(shop));
	account = await register(shop);
	customer = createClient({ url: shop.url });
	await customer.signIn(account);
});
afterAll(() => shop?.stop());

const product = async (stock: number): Promise<string> =>
	(await admin.products.create({ name: "Tea", category: "Drinks", price: 3.5, stock })).id;

test("a customer orders a product and follows its events until it is delivered", async () => {
	const product_id = await product(10);
	const items = [{ product_id, quantity: 2 }];
	const order = await untilSettled((idempotencyKey) =>
		customer.orders.create({ items }, { idempotencyKey }),
	);
	expect(order).toMatchObject({ status: "confirmed", total_amount: 7 });
	const types: string[] = [];
	for await (const { type, data } of customer.orders.events({ id: order.id })) {
		types.push(type);
		expect(data.total_amount).toBe(7);
		if (type === "order.confirmed") await admin.orders.ship({ id: order.id });
		if (type === "order.shipped") await admin.orders.deliver({ id: order.id });
	}
	expect(types).toEqual(["order.created", "order.confirmed", "order.shipped", "order.delivered"]);
});

test("an order without enough stock is a typed problem with the order's ID", async () => {
	const items = [{ product_id: await product(1), quantity: 2 }];
	const error: unknown = await untilSettled((idempotencyKey) =>
		customer.orders.create({ items }, { idempotencyKey }),
	).catch((reason) => reason);
	if (!isProblem(error, "OUT_OF_STOCK")) throw error;
	const order = await customer.orders.get({ id: error.data.order_id as string });
	expect(order).toMatchObject({ status: "cancelled", cancellation_reason: "OUT_OF_STOCK" });
});

test("an order can be accepted before it is confirmed", async () => {
	const items = [{ product_id: await product(1), quantity: 1 }];
	const { status, value } = await customer.orders
		.create({ items, payment_token: "tok_slow" }, { respondAsync: true })
		.withResponse();
	expect([status, value.status]).toEqual([202, "pending"]);
});

test("orders whose responses are lost are placed once", async () => {
	const product_id = await product(100);
	const buyer = await register(shop);
	const proxy = await startLossyProxy(shop.url);
	const shaky = createClient({ url: proxy.url, accessToken: buyer.token });
	const items = [{ product_id, quantity: 1 }];
	const place = () => shaky.orders.create({ items });
	const results = await Promise.allSettled(Array.from({ length: 10 }, place));
	await proxy.stop();
	const placed = results.map((result) => {
		if (result.status === "rejected") throw result.reason;
		return result.value;
	});
	const ids = new Set<string>();
	const direct = createClient({ url: shop.url, accessToken: buyer.token });
	for await (const { id } of direct.orders.list({ limit: 3 })) ids.add(id);
	expect(ids).toEqual(new Set(placed.map(({ id }) => id)));
	expect(ids.size).toBe(10);
	expect((await direct.inventory.get({ product_id })).reserved).toBe(10);
});

test("of two changes of the same version the second is refused", async () => {
	const id = await product(1);
	const { etag } = await admin.products.get({ id }).withResponse();
	const changed = await admin.products.update({ id, price: 4 }, { ifMatch: etag! }).withResponse();
	expect(changed.value.price).toBe(4);
	const late = admin.products.update({ id, price: 5 }, { ifMatch: etag! });
	await expect(late).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
	await admin.products.update({ id, price: 5 }, { ifMatch: changed.etag! });
});

test("a guest fills a cart, orders it and reads the order", async () => {
	const product_id = await product(5);
	const anyone = createClient({ url: shop.url });
	const cart = await anyone.carts.create({});
	const guest = anyone.with({ cartToken: cart.token! });
	await guest.carts.setLine({ id: cart.id, product_id, quantity: 2 });
	await guest.carts.update({ id: cart.id, email: "guest@example.com" });
	const order = await untilSettled((idempotencyKey) =>
		guest.carts.checkout({ id: cart.id, expected_total: 7 }, { idempotencyKey }),
	);
	const read = anyone.orders.get({ id: order.id }, { orderToken: order.order_token! });
	expect(await read).toMatchObject({ status: "confirmed", total_amount: 7 });
	await expect(anyone.orders.get({ id: order.id })).rejects.toMatchObject({ status: 401 });
	await expect(anyone.carts.get({ id: cart.id })).rejects.toMatchObject({ status: 404 });
});

describe("a session", () => {
	const signIn = () => {
		const { email, password } = account;
		return createClient({ url: shop.url }).auth.login({ email, password });
	};

	test("whose access token has expired is refreshed once by concurrent requests", async () => {
		const { refresh_token } = await signIn();
		const client = createClient({
			url: shop.url,
			tokens: { access_token: "expired", refresh_token },
		});
		for (let round = 0; round < 2; round++) {
			const users = await Promise.all(Array.from({ length: 8 }, () => client.users.me()));
			expect(new Set(users.map(({ id }) => id))).toEqual(new Set([account.id]));
		}
	});

	test("that another client has signed out ends with a typed error", async () => {
		const { access_token, refresh_token } = await signIn();
		const client = createClient({ url: shop.url, tokens: { access_token, refresh_token } });
		await client.users.me();
		await client.auth.logout({ refresh_token });
		// Gateways reject the access token of an ended session within two seconds.
		await eventually(() => expect(client.users.me()).rejects.toBeInstanceOf(SessionEndedError));
	});
});

test("an administrator imports, exports and lists products, and sees the progress", async () => {
	const rows = Array.from({ length: 1200 }, (_, i) => `S${i},Product ${i},${i % 50},Things`);
	const file = new Blob([["sku,name,price,category", ...rows, "S,,x,"].join("\n")]);
	const progress: number[] = [];
	const upload = admin.products.importRows(file, { format: "csv" });
	for await (const line of upload) if ("rows" in line) progress.push(line.rows);
	expect(progress.length).toBeGreaterThan(1);
	const { errors, ...counts } = await upload;
	expect(counts).toMatchObject({ done: true, created: 1200, failed: 1 });
	expect(errors).toMatchObject([{ row: 1202, sku: "S" }]);
	const { body, name } = await admin.products.exportRows({ format: "ndjson" });
	expect(name).toBe("products.ndjson");
	const again = await admin.products.importRows(body, { format: "ndjson" });
	expect(again).toMatchObject({ created: 0, updated: 0, failed: 0 });
	const ids = new Set<string>();
	for await (const { id } of customer.products.list({ category: "Things" })) ids.add(id);
	expect(ids.size).toBe(1200);
});
