import { beforeEach, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Address } from "../../lib/addresses/address.ts";
import { Rejection, reject } from "../../lib/async/micro-batch.ts";
import { type Cache, createCache, provideCache } from "../../lib/caching/lease-cache.ts";
import { memoryStore } from "../../lib/caching/memory-store.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { promotionRecord } from "../../test/support/records.ts";
import { createOrderPricing } from "./orders.pricing.ts";
import type { Product } from "./orders.rules.ts";

let cache: Cache;
/** Results of the services; an error is thrown. */
let results: Record<string, unknown>;
let calls: string[];
type Pricing = ReturnType<typeof createOrderPricing>;
let create: (requireAddress: boolean) => Pricing;
let pricing: Pricing;
beforeEach(() => {
	const broker = {} as ServiceBroker;
	cache = createCache(memoryStore(), "cache::");
	provideCache(broker, cache);
	calls = [];
	results = {
		"tax.status": { enabled: false, prices_include_tax: true },
		"shipping.status": { enabled: false },
		"promotions.automatic": [],
	};
	const call = async (action: string) => {
		calls.push(action);
		const result = results[action];
		if (result instanceof Error) throw result;
		return result;
	};
	const dependencies = { broker, db: {} as Database, rounding: "line" as const };
	create = (requireAddress) =>
		createOrderPricing({ ...dependencies, call: call as unknown as Call, requireAddress });
	pricing = create(false);
});
const change = (service: string) =>
	cache.of(service, 60_000).whileInvalidated([], async () => undefined);
const failure = (type: string) => Object.assign(new Error(type), { type });

test("the status of tax, shipping and promotions is cached until it changes", async () => {
	expect([await pricing.isConfigured(), await pricing.isConfigured()]).toEqual([false, false]);
	expect(calls.sort()).toEqual(["promotions.automatic", "shipping.status", "tax.status"]);
	calls = [];
	results["tax.status"] = { enabled: true, prices_include_tax: true };
	expect(await pricing.isConfigured()).toBe(false);
	await change("tax");
	expect(await pricing.isConfigured()).toBe(true);
	expect(calls).toEqual(["tax.status"]);
});

test("the last status is valid while its service is down", async () => {
	results["shipping.status"] = { enabled: true };
	expect(await pricing.isConfigured()).toBe(true);
	results["shipping.status"] = failure("REQUEST_TIMEOUT");
	await change("shipping");
	expect(await pricing.isConfigured()).toBe(true);
});

test("an outage before the first status counts as no promotions, but not as no tax", async () => {
	results["promotions.automatic"] = failure("SERVICE_NOT_AVAILABLE");
	expect(await pricing.isConfigured()).toBe(false);
	results["tax.status"] = failure("SERVICE_NOT_AVAILABLE");
	expect(await pricing.isConfigured()).toBe(false);
});

test("a status without tax or shipping is unknown during an outage after a change", async () => {
	expect(await pricing.isConfigured()).toBe(false);
	for (const service of ["tax", "shipping"]) {
		const status = results[`${service}.status`];
		results[`${service}.status`] = failure("SERVICE_NOT_AVAILABLE");
		await change(service);
		await expect(pricing.isConfigured()).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
		results[`${service}.status`] = status;
		expect(await pricing.isConfigured()).toBe(false);
	}
});

test("an order fails while the status of tax is unknown, unless no node has it", async () => {
	results["tax.status"] = failure("REQUEST_TIMEOUT");
	await expect(pricing.isConfigured()).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
	results["tax.status"] = failure("SERVICE_NOT_FOUND");
	expect(await pricing.isConfigured()).toBe(false);
});

test("another error of a service is no outage", async () => {
	await pricing.isConfigured();
	results["promotions.automatic"] = failure("VALIDATION_ERROR");
	await change("promotions");
	await expect(pricing.isConfigured()).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
});

test("an outage rejects a batch of orders; another error is thrown, which splits it", async () => {
	results["tax.status"] = { enabled: true, prices_include_tax: true };
	const line = { name: "Tea", quantity: 1, unit_price: 10, line_total: 10 };
	const batch = ["p1", "p2"].map((product_id) => ({
		request: { user_id: "u" },
		order: { currency: "EUR", items: [{ ...line, product_id }] },
		products: new Map([[product_id, { category: null } as unknown as Product]]),
	}));
	const outage = failure("REQUEST_TIMEOUT");
	results["tax.calculate"] = outage;
	expect(await pricing.price(batch)).toEqual([reject(outage), reject(outage)]);
	results["tax.calculate"] = failure("VALIDATION_ERROR");
	await expect(pricing.price(batch)).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
});

test("a promotion for a parent applies to its variants", async () => {
	const parent_id = uuid();
	results["promotions.automatic"] = [promotionRecord({ conditions: { product_ids: [parent_id] } })];
	const product = { category: null, parent_id } as unknown as Product;
	const line = { product_id: "p1", name: "Tea", quantity: 1, unit_price: 10, line_total: 10 };
	const order = { currency: "EUR", items: [line] };
	const request = { user_id: "u" };
	const [priced] = await pricing.price([{ request, order, products: new Map([["p1", product]]) }]);
	expect(priced).toMatchObject({ discount_amount: 1, total_amount: 9 });
});

test("an address with its country is required on request, if prices depend on it", async () => {
	const strict = create(true);
	const products = new Map([["p1", { category: null } as unknown as Product]]);
	const line = { product_id: "p1", name: "Tea", quantity: 1, unit_price: 10, line_total: 10 };
	const order = { currency: "EUR", items: [line] };
	const home = { name: "Jo", line1: "Main Street 1", city: "Oslo", country: "NO" } as Address;
	const batch = [undefined, "Main Street 1, Oslo", home].map((shipping_address) => ({
		request: { user_id: "u", ...(shipping_address ? { shipping_address } : {}) },
		...{ order, products },
	}));
	const rejections = async (from: Pricing) =>
		(await from.price(batch)).map((result) =>
			result instanceof Rejection ? (result.error as { type: string }).type : "priced",
		);
	expect(await rejections(strict)).toEqual(["priced", "priced", "priced"]);
	results["tax.status"] = { enabled: true, prices_include_tax: true };
	const none = { prices_include_tax: true, lines: [null], shipping: null };
	results["tax.calculate"] = [none, none, none];
	await change("tax");
	expect(await rejections(pricing)).toEqual(["priced", "priced", "priced"]);
	expect(await rejections(strict)).toEqual(["ADDRESS_REQUIRED", "ADDRESS_REQUIRED", "priced"]);
});
