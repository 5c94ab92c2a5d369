import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../lib/async/poller.ts";
import type { ActionContract } from "../lib/contracts/contract.ts";
import { presentContracts } from "../tools/contracts/release.ts";
import { type Customer, makeAdmin, makeProduct, placeOrder, register } from "./support/builders.ts";
import { type Shop, startShop } from "./support/shop.ts";

const actions = (await presentContracts()).flatMap(({ name, actions }) =>
	Object.entries(actions).map(([action, contract]): [string, ActionContract] => [
		`${name}.${action}`,
		contract,
	]),
);
/** Commands that HTTP does not define as idempotent. Every PATCH sets fields to given values. */
const posts = actions.filter(([, { rest, also = [] }]) =>
	[rest, ...also].some((route) => /^POST\b/.test(route ?? "")),
);
const keyed = posts.flatMap(([name, { idempotent }]) => (idempotent ? [name] : []));

test("every POST honors the Idempotency-Key or declares why repeating it is safe", () => {
	expect(posts.length).toBeGreaterThan(10);
	const undeclared = posts.filter(
		([, { idempotent, repeatable }]) => Boolean(idempotent) === Boolean(repeatable),
	);
	expect(undeclared.map(([name]) => name)).toEqual([]);
});

test("an action that honors the key declares the errors of a key that is reused or in use", () => {
	const required = ["IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED"];
	const missing = posts.filter(
		([, { idempotent, throws = [] }]) =>
			idempotent && !required.every((code) => throws.includes(code)),
	);
	expect(missing.map(([name]) => name)).toEqual([]);
});

/** Two requests with different bodies, and the number of their effects. */
interface Command {
	readonly request: string;
	readonly bodies: readonly [object, object];
	/** Status of a success; 201 by default. */
	readonly status?: number;
	/** Error of another caller, if there can be one effect only. */
	readonly once?: string;
	effects(): Promise<number>;
}

describe("an Idempotency-Key", () => {
	let shop: Shop;
	let admin: Customer;
	let other: Customer;
	beforeAll(async () => {
		shop = await startShop();
		[admin, other] = [await makeAdmin(shop), await makeAdmin(shop)];
	});
	afterAll(() => shop?.stop());

	const count = async (service: string, text: string, ...values: unknown[]) =>
		Number((await shop.databases.query<{ n: string }>(service, text, values))[0]!.n);
	const commands: Record<string, () => Promise<Command>> = {
		async "orders.create"() {
			const [product, customer] = [await makeProduct(shop, admin), await register(shop)];
			const body = (quantity: number) => ({
				items: [{ product_id: product.id, quantity }],
				user_id: customer.id,
			});
			return {
				request: "POST /api/orders",
				bodies: [body(1), body(2)],
				effects: () =>
					count("orders", "select count(*) as n from orders where user_id = $1", customer.id),
			};
		},
		async "orders.refund"() {
			const product = await makeProduct(shop, admin);
			const items = (quantity: number) => [{ product_id: product.id, quantity }];
			const { body: order } = await placeOrder(shop, admin, product, { items: items(3) });
			return {
				request: `POST /api/orders/${order.id}/refunds`,
				bodies: [{ items: items(1) }, { items: items(2) }],
				effects: () =>
					count("orders", "select count(*) as n from refunds where order_id = $1", order.id),
			};
		},
		async "carts.checkout"() {
			const [product, customer] = [await makeProduct(shop, admin), await register(shop)];
			const { token } = customer;
			const { body: cart } = await shop.http("POST /api/carts", { token, body: {} });
			const line = `/api/carts/${cart.id}/lines/${product.id}`;
			await shop.http(`PUT ${line}`, { token, body: { quantity: 1 } });
			return {
				request: `POST /api/carts/${cart.id}/checkout`,
				bodies: [{ expected_total: 1000 }, { expected_total: 2000 }],
				once: "CART_COMPLETED",
				effects: () =>
					count("orders", "select count(*) as n from orders where user_id = $1", customer.id),
			};
		},
		async "payments.refund"() {
			const { body: order } = await placeOrder(shop, admin, await makeProduct(shop, admin));
			const { body: payments } = await shop.http(`GET /api/payments?order_id=${order.id}`, {
				token: admin.token,
			});
			return {
				request: `POST /api/payments/${payments[0].id}/refunds`,
				bodies: [{ amount: 1 }, { amount: 2 }],
				effects: () =>
					count(
						"payments",
						"select count(*) as n from refunds where payment_id = $1",
						payments[0].id,
					),
			};
		},
		async "inventory.adjust"() {
			const { id } = await makeProduct(shop, admin);
			return {
				request: `POST /api/inventory/${id}/adjustments`,
				bodies: [
					{ delta: 5, reason: "Found" },
					{ delta: 6, reason: "Found" },
				],
				effects: () =>
					count("inventory", "select count(*) as n from adjustments where product_id = $1", id),
			};
		},
		async "products.create"() {
			const name = `Idempotent ${uuid()}`;
			return {
				request: "POST /api/products",
				bodies: [
					{ name, price: 1, category: "Things" },
					{ name, price: 2, category: "Things" },
				],
				effects: () =>
					count("products", "select count(*) as n from products where name = $1", name),
			};
		},
		async "products.createVariant"() {
			const { id } = await makeProduct(shop, admin, { option_names: ["size"] });
			return {
				request: `POST /api/products/${id}/variants`,
				bodies: [{ options: { size: "M" } }, { options: { size: "L" } }],
				effects: () =>
					count("products", "select count(*) as n from products where parent_id = $1", id),
			};
		},
		async "promotions.create"() {
			const [name, ends_at] = [`Idempotent ${uuid()}`, "2020-01-01T00:00:00Z"];
			return {
				request: "POST /api/promotions",
				bodies: [
					{ name, ends_at, effect: { type: "free_shipping" } },
					{ name, ends_at, effect: { type: "percent_off", value: 10 } },
				],
				effects: () =>
					count("promotions", "select count(*) as n from promotions where name = $1", name),
			};
		},
		async "users.addAddress"() {
			const { id } = await register(shop);
			const address = { name: "Zoë", line1: "1 Street", postal_code: "10117", country: "DE" };
			return {
				request: `POST /api/users/${id}/addresses`,
				bodies: [
					{ ...address, city: "Berlin" },
					{ ...address, city: "Potsdam" },
				],
				effects: () => count("users", "select count(*) as n from addresses where user_id = $1", id),
			};
		},
		async "products.renameCategory"() {
			const category = `Idempotent ${uuid()}`;
			const { id } = await makeProduct(shop, admin, { category });
			return {
				request: "POST /api/categories/rename",
				status: 200,
				bodies: [
					{ from: category, to: `${category}/A` },
					{ from: category, to: `${category}/B` },
				],
				effects: () =>
					count(
						"products",
						"select count(*) as n from outbox where subject = $1 and type = 'product.updated'",
						id,
					),
			};
		},
	};

	test("is tested for every action that honors it", () => {
		expect(Object.keys(commands).sort()).toEqual([...keyed].sort());
	});

	test.each(keyed)("of %s replays the response without a second effect", async (name) => {
		const { request, bodies, effects, status: success = 201, once } = await commands[name]!();
		const headers = { "idempotency-key": uuid() };
		const send = (body: object, { token } = admin) => shop.http(request, { token, body, headers });
		const first = await send(bodies[0]);
		expect(first).toMatchObject({ status: success });
		const again = await Promise.all([send(bodies[0]), send(bodies[0]), send(bodies[0])]);
		for (const { status, body, headers } of again)
			expect([status, body, headers.get("idempotent-replayed")]).toEqual([
				success,
				first.body,
				"true",
			]);
		expect(await send(bodies[1])).toMatchObject({
			status: 422,
			body: { code: "IDEMPOTENCY_KEY_REUSED" },
		});
		expect(await effects()).toBe(1);

		// Keys of different callers are independent.
		const otherResponse = await send(bodies[1], other);
		if (once) {
			expect(otherResponse.body.code).toBe(once);
			return;
		}
		expect([otherResponse.status, otherResponse.headers.get("idempotent-replayed")]).toEqual([
			success,
			null,
		]);
		expect(await effects()).toBe(2);
	});

	test.each(keyed)("of %s has one effect with concurrent requests", async (name) => {
		const { request, bodies, effects, status: success = 201 } = await commands[name]!();
		const headers = { "idempotency-key": uuid() };
		const responses = await Promise.all(
			Array.from({ length: 5 }, () =>
				shop.http(request, { token: admin.token, body: bodies[0], headers }),
			),
		);
		const codes = new Set(
			responses.map(({ status, body }) => (status === success ? success : body.code)),
		);
		expect([...codes].filter((code) => code !== "IDEMPOTENCY_KEY_IN_USE")).toEqual([success]);
		expect(await effects()).toBe(1);
	});

	test("of a product is replayed although its SKU now exists", async () => {
		const headers = { "idempotency-key": uuid() };
		const body = { name: "With SKU", price: 1, category: "Things", sku: `IDEMPOTENT-${uuid()}` };
		const responses = await Promise.all(
			Array.from({ length: 4 }, () =>
				shop.http("POST /api/products", { token: admin.token, body, headers }),
			),
		);
		expect(
			new Set(responses.map(({ status, body: { id, code } }) => `${status} ${id ?? code}`)),
		).toEqual(new Set([`201 ${responses[0]!.body.id}`]));
		// A failed command does not store its key.
		const fresh = { "idempotency-key": uuid() };
		expect(
			await shop.http("POST /api/products", { token: admin.token, body, headers: fresh }),
		).toMatchObject({
			body: { code: "SKU_TAKEN" },
		});
		const free = { ...body, sku: `IDEMPOTENT-${uuid()}` };
		expect(
			(await shop.http("POST /api/products", { token: admin.token, body: free, headers: fresh }))
				.status,
		).toBe(201);
	});

	test("of an administrator who orders for a customer is not the customer's key", async () => {
		const { request, bodies } = await commands["orders.create"]!();
		const customer = await register(shop);
		const headers = { "idempotency-key": uuid() };
		const [body, different] = bodies.map((one) => ({ ...one, user_id: customer.id }));
		const order = (token: string, body: object | undefined) =>
			shop.http(request, { token, body, headers });
		const [admins, customers] = [
			await order(admin.token, body),
			await order(customer.token, different),
		];
		expect([admins.status, customers.status]).toEqual([201, 201]);
		expect((await order(admin.token, body)).body).toEqual(admins.body);
		expect((await order(customer.token, different)).body).toEqual(customers.body);
	});

	test("stored by an older version for the customer is replayed to the administrator", async () => {
		const { request, bodies, effects } = await commands["orders.create"]!();
		const headers = { "idempotency-key": uuid() };
		const send = (body: object) => shop.http(request, { token: admin.token, body, headers });
		const { body: order } = await send(bodies[0]);
		await shop.databases.query(
			"orders",
			"update idempotency_keys set user_id = $1 where key = $2",
			[order.user_id, headers["idempotency-key"]],
		);
		expect((await send(bodies[0])).body).toEqual(order);
		expect(await effects()).toBe(1);
		// Such a key does not reject the administrator's request with another body.
		expect((await send(bodies[1])).status).toBe(201);
	});

	test.each([...new Set(keyed.map((name) => name.split(".")[0]!))])(
		"is pruned by %s after it has expired",
		async (service) => {
			expect(
				(shop.broker.getLocalService(service) as unknown as { $pruning?: Poller }).$pruning,
			).toBeDefined();
		},
	);
});
