import { expect, test } from "@jest/globals";
import { cacheOf, provideCache } from "../../lib/caching/lease-cache.ts";
import { eventually } from "../../test/support/eventually.ts";
import { stubbedServices } from "../../test/support/gateway.ts";
import { down, gateways, up } from "./test/gateways.ts";

const { start } = gateways();

test("reports at / that the gateway runs", async () => {
	const shop = await start({});
	expect(await shop.http("GET /")).toMatchObject({
		status: 200,
		body: { message: expect.any(String), docs: "/docs" },
	});
});

test("lists every service at /health, available or not", async () => {
	const shop = await start({ stubs: stubbedServices() });
	const { status, body } = await shop.http("GET /health");
	expect(status).toBe(200);
	expect(body).toEqual({
		status: "degraded",
		services: {
			api: up,
			auth: up,
			carts: down,
			inventory: down,
			notifications: down,
			operations: down,
			orders: up,
			payments: down,
			products: up,
			promotions: down,
			shipping: down,
			tax: down,
			users: up,
		},
	});
});

test("reports a service without its database as down, and its node as not ready", async () => {
	const shop = await start({ services: ["api", "shipping"] });
	await eventually(async () => {
		expect((await shop.http("GET /health")).body.services.shipping).toEqual(up);
		expect((await shop.http("GET /health/ready")).status).toBe(200);
	});
	await (
		shop.broker.getLocalService("shipping") as unknown as { db: { close(): Promise<void> } }
	).db.close();
	expect((await shop.http("GET /health")).body.services.shipping).toEqual(down);
	expect(await shop.http("GET /health/ready")).toMatchObject({
		status: 503,
		body: { status: "not ready", failing: ["shipping"] },
	});
	expect(await shop.http("GET /health/serving")).toMatchObject({
		status: 503,
		body: { status: "not serving", failing: ["shipping"] },
	});
	expect((await shop.http("GET /health/live")).status).toBe(200);
});

test("reports a gateway that has lost Redis as not ready, but as serving", async () => {
	const shop = await start({ services: ["api"] });
	const cache = cacheOf(shop.broker);
	provideCache(shop.broker, { ...cache, ping: () => Promise.reject(new Error("gone")) });
	expect(await shop.http("GET /health/ready")).toMatchObject({
		status: 503,
		body: { status: "not ready", failing: ["redis"] },
	});
	expect(await shop.http("GET /health/serving")).toMatchObject({
		status: 200,
		body: { status: "serving", failing: ["redis"] },
	});
	provideCache(shop.broker, cache);
	await eventually(async () => expect((await shop.http("GET /health/ready")).status).toBe(200));
});
