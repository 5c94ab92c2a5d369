import { expect, test } from "@jest/globals";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import { contractError } from "../../../lib/contracts/contract.ts";
import { readEnv } from "../../../lib/settings/env.ts";
import { createNode, loadService } from "../../../lib/settings/node.ts";
import { brokerOptions } from "../../../moleculer.config.ts";
import { services } from "../../../test/support/databases.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { type RecordedCall, stubbedServices, token } from "../../../test/support/gateway.ts";
import { stub } from "../../../test/support/shop.ts";
import { inventory } from "../../inventory/inventory.contract.ts";
import { orders } from "../../orders/orders.contract.ts";
import { products } from "../../products/products.contract.ts";
import { down, gateways, up } from "../test/gateways.ts";

const { running, start } = gateways();

test("keeps the routes of a stopped service and responds with 503 until it is back", async () => {
	const [catalogue] = stubbedServices();
	const shop = await start({ stubs: [catalogue!] });
	expect((await shop.http("GET /api/products")).status).toBe(200);
	await shop.broker.destroyService("products");
	// The registry has announced its change when a service that is created later is available.
	shop.broker.createService(
		stub(inventory, {
			get: async ({ params }) => ({ ...params, on_hand: 1, reserved: 0, available: 1 }),
		}),
	);
	await eventually(async () =>
		expect((await shop.http(`GET /api/inventory/${uuid()}`)).status).toBe(200),
	);
	expect(await shop.http("GET /api/products")).toMatchObject({
		status: 503,
		body: { code: "SERVICE_UNAVAILABLE" },
	});
	expect((await shop.http("PATCH /api/products")).status).toBe(405);
	shop.broker.createService(catalogue!);
	await eventually(async () => expect((await shop.http("GET /api/products")).status).toBe(200));
});

test("responds with 503 below the path of a service that has never been available", async () => {
	const shop = await start({ stubs: stubbedServices() });
	expect(await shop.http(`GET /api/inventory/${uuid()}`)).toMatchObject({
		status: 503,
		body: { code: "SERVICE_UNAVAILABLE" },
	});
	expect((await shop.http("GET /api/catalogue")).status).toBe(404);
	expect((await shop.http("GET /api/products/a/b/c")).status).toBe(404);
});

test("replaces the routes of a service when it returns with others", async () => {
	const { get, ...rest } = products.actions;
	const [catalogue] = stubbedServices();
	const shop = await start({ stubs: [catalogue!] });
	await shop.broker.destroyService("products");
	shop.broker.createService(
		stub(
			{ ...products, actions: { ...rest, find: { ...get, rest: "GET /products/:id/one" } } },
			{},
		),
	);
	await eventually(async () =>
		expect((await shop.http(`HEAD /api/products/${uuid()}`)).status).toBe(405),
	);
	expect((await shop.http(`POST /api/products/${uuid()}/one`)).status).toBe(405);
});

test("does not open a route without an access rule, or with a path that is in use", async () => {
	const action = {
		params: {},
		returns: { type: "any" },
		visibility: "published",
		handler: async () => "secret",
	};
	const unprotected = {
		name: "careless",
		actions: {
			open: { ...action, rest: "GET /careless" },
			odd: { ...action, auth: "anyone", rest: "careless" },
			taken: { ...action, auth: "anyone", rest: "GET /products" },
			hidden: { ...action, auth: "anyone", rest: "GET /hidden", visibility: "public" },
		},
	} as unknown as ServiceSchema;
	const shop = await start({ stubs: [unprotected, stubbedServices()[0]!] });
	for (const path of ["/api/careless", "/api/hidden", "/careless"])
		expect((await shop.http(`GET ${path}`)).status).toBe(404);
});

/**
 * A node of its own, joined to others of the same namespace inside this process; everything between
 * them is serialised.
 */
async function node(namespace: string, schemas: ServiceSchema[]): Promise<ServiceBroker> {
	const env = readEnv({
		NODE_ENV: "test",
		NAMESPACE: namespace,
		LOGLEVEL: "fatal",
		PORT: "0",
		JWT_SECRET: "a secret that is long enough for a test",
	});
	const prompt = { serviceChangedDebounceTime: 10 } as object;
	const broker = createNode(
		{ ...brokerOptions(env), transporter: "Fake", transit: prompt },
		env,
		schemas,
	);
	await broker.start();
	running.push(broker);
	return broker;
}

test("transmits contracts unchanged through the registry", async () => {
	const namespace = uuid();
	const { create, get } = orders.actions;
	// Stubs cache no results.
	const { cache: _, responseCache: __, ...listed } = products.actions.list;
	const written = {
		"orders.create": { ...create, visibility: "published" },
		"orders.get": { ...get, visibility: "published" },
		"products.list": listed,
		"products.update": products.actions.update,
	};
	const remote = await node(namespace, stubbedServices());
	const other = await node(namespace, []);
	for (const { registry } of [remote, other]) {
		const found = new Map(registry.getActionList({}).map(({ name, action }) => [name, action]));
		for (const [name, contract] of Object.entries(written))
			expect(found.get(name)).toMatchObject(contract);
	}
});

test("serves the same routes and responses when the service is on another node", async () => {
	const calls: RecordedCall[] = [];
	const namespace = uuid();
	const env = readEnv({ JWT_SECRET: "a secret that is long enough for a test" });
	const stock = stub(inventory, {
		get: async () => {
			throw contractError(inventory, "STOCK_NOT_FOUND", { hint: "none" });
		},
	});
	const remote = await node(namespace, [...stubbedServices(calls), stock]);
	const gateway = await node(namespace, [await loadService(services, "api")]);
	const { port } = (
		gateway.getLocalService("api") as unknown as { server: { address(): { port: number } } }
	).server.address();
	const http = async (request: string, body?: object) => {
		const [method, path] = request.split(" ") as [string, string];
		const headers = {
			authorization: `Bearer ${token(env, "admin")}`,
			"content-type": "application/json",
		};
		const response = await fetch(`http://127.0.0.1:${port}${path}`, {
			method,
			headers,
			...(body ? { body: JSON.stringify(body) } : {}),
		});
		const text = await response.text();
		return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
	};
	const created = await http("POST /api/products", { name: "A book", price: 1, category: "books" });
	expect([created.status, created.headers.get("location")]).toEqual([
		201,
		`/api/products/${created.body.id}`,
	]);
	expect(calls[0]).toMatchObject({ params: { stock: 0 }, meta: { user: { role: "admin" } } });
	expect((await http(`PUT /api/products/${uuid()}`, { name: "New" })).status).toBe(200);
	const page = await http("GET /api/products?limit=2");
	expect([page.body.length, page.headers.get("x-total-count"), page.headers.get("link")]).toEqual([
		2,
		"5",
		'</api/products?limit=2&skip=2>; rel="next"',
	]);
	const order = await http("POST /api/orders", { items: [{ product_id: uuid(), quantity: 1 }] });
	expect([order.status, order.headers.get("location")]).toEqual([202, "/api/orders/later"]);
	expect(await http("GET /api/products?limit=x&role=admin")).toMatchObject({
		status: 422,
		body: {
			errors: [
				{ field: "limit", code: "NUMBER" },
				{ field: "role", code: "OBJECT_STRICT" },
			],
		},
	});
	expect(await http(`GET /api/inventory/${uuid()}`)).toMatchObject({
		status: 404,
		body: { code: "STOCK_NOT_FOUND", hint: "none" },
	});
	expect((await http(`PUT /api/inventory/${uuid()}`, { on_hand: 1 })).body.code).toBe(
		"INTERNAL_ERROR",
	);
	expect((await http("GET /health")).body.services).toMatchObject({
		api: up,
		products: up,
		shipping: down,
	});

	await remote.stop();
	await eventually(async () =>
		expect((await http("GET /health")).body.services.products).toEqual(down),
	);
	expect((await http("GET /api/products")).status).toBe(503);
});

test("hides the gateway's own actions from other nodes", async () => {
	const namespace = uuid();
	await node(namespace, [await loadService(services, "api")]);
	const other = await node(namespace, []);
	for (const action of ["api.addRoute", "api.removeRoute", "api.listAliases", "api.rest"]) {
		await expect(other.call(action)).rejects.toThrow("is not found");
	}
});
