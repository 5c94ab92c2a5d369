import { beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { ActionContract } from "../../../lib/contracts/contract.ts";
import { eventActions } from "../../../lib/contracts/event-actions.ts";
import { ignoreUnknownFields, rejectUnknownFields } from "../../../lib/contracts/unknown-fields.ts";
import { isOutage } from "../../../lib/resilience/outages.ts";
import { products } from "../../../services/products/products.contract.ts";
import type { Cluster, ClusterNode } from "../../support/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { afterOutage } from "../../support/outages.ts";
import { kindOf, type Pairs } from "../../support/pairs.ts";
import { admin } from "../../support/shop.ts";

const as = (user: object) => ({ meta: { user } });
const customer = { ...admin!, id: uuid(), role: "user" };

/** Tests of calls between processes. They require one node of products. */
export const calls = (open: () => Pairs) => {
	let cluster: Cluster;
	let first: ClusterNode;
	beforeAll(() => {
		const pairs = open();
		({ cluster } = pairs);
		first = pairs.nodes(kindOf("products"))[0]!;
	});

	const addProduct = (over: object = {}) =>
		afterOutage(() =>
			cluster.call(
				"products.create",
				{ name: "Tea", price: 19.99, category: "Drinks", ...over },
				as(admin!),
			),
		);
	const change = (id: string, price: number) =>
		cluster.call("products.update", { id, price }, as(admin!));

	test("the registry of another node contains complete action contracts", () => {
		const actions = cluster.broker.registry.getActionList({ skipInternal: true });
		for (const [name, one] of Object.entries(products.actions) as [string, ActionContract][]) {
			// Moleculer has other names for the limits of a bulkhead.
			const { bulkhead: _, ...action } = one;
			const found = actions.find((one) => one.name === `products.${name}`)?.action;
			expect(found).toMatchObject({
				...action,
				params:
					action.rest || name in eventActions
						? rejectUnknownFields(action.params)
						: ignoreUnknownFields(action.params),
				visibility: action.rest ? "published" : "public",
			});
		}
		const [service] = cluster.broker.registry
			.getServiceList({ onlyAvailable: true })
			.filter(({ name }) => name === products.name);
		expect(service!.metadata).toMatchObject({ events: products.events, errors: products.errors });
	});

	test("the called node validates and normalizes parameters", async () => {
		const field = (name: string) => expect.objectContaining({ field: name });
		await expect(
			cluster.broker.call("products.create", { name: "", price: -1, more: 1 }, as(admin!)),
		).rejects.toMatchObject({
			type: "VALIDATION_ERROR",
			code: 422,
			data: expect.arrayContaining([field("name"), field("price"), field("category")]),
		});
		const product = await addProduct({ name: "  Tea " });
		expect(product).toMatchObject({ name: "Tea", price: 19.99, currency: "EUR" });
	});

	test("the called node enforces an action's access rule", async () => {
		const params = { name: "Tea", price: 1, category: "Drinks" };
		await expect(cluster.call("products.create", params)).rejects.toMatchObject({
			type: "UNAUTHENTICATED",
			code: 401,
		});
		await expect(cluster.call("products.create", params, as(customer))).rejects.toMatchObject({
			type: "FORBIDDEN",
			code: 403,
		});
	});

	test("errors keep their type, code, message and data across nodes", async () => {
		const { message, status } = products.errors.PRODUCT_NOT_FOUND;
		await expect(cluster.call("products.get", { id: uuid() })).rejects.toMatchObject({
			type: "PRODUCT_NOT_FOUND",
			code: status,
			message,
		});
		const sku = `SKU-${uuid()}`;
		await addProduct({ sku });
		await expect(addProduct({ sku })).rejects.toMatchObject({ type: "SKU_TAKEN", code: 409 });
	});

	test("a result of more than a megabyte is transmitted", async () => {
		const description = "x".repeat(4900);
		const { id } = await addProduct({ description });
		const found = await cluster.call("products.resolve", { ids: Array(400).fill(id) });
		expect(found).toHaveLength(400);
		expect(found[399]).toMatchObject({ id, description });
	});

	test("a call to a service without nodes fails as an outage", async () => {
		const error = await cluster.broker.call("absent.get").catch((reason) => reason);
		expect(error).toMatchObject({ type: "SERVICE_NOT_FOUND" });
		expect(isOutage(error)).toBe(true);
	});

	test("a stopping node completes its calls, and the other node continues", async () => {
		const leaving = await cluster.start("leaving", ["products"]);
		const { id } = await addProduct();
		let price = 0;
		let busy = true;
		const load = Promise.all(
			Array.from({ length: 4 }, async () => {
				while (busy) {
					await change(id, ++price);
					expect(await cluster.call("products.get", { id })).toMatchObject({ id });
				}
			}),
		);
		load.catch(() => undefined);
		await eventually(() => expect(price).toBeGreaterThan(20));
		expect(await leaving.process.term()).toBe(0);
		const before = price;
		await eventually(() => expect(price).toBeGreaterThan(before + 20));
		busy = false;
		await load;
		expect(cluster.has(leaving)).toBe(false);
	});

	test("retries reads that were sent to a killed node on the other node", async () => {
		const doomed = await cluster.start("dying", ["products"]);
		const { id } = await addProduct();
		await doomed.process.kill();
		const reads = await Promise.all(
			Array.from({ length: 20 }, () => cluster.call("products.get", { id })),
		);
		expect(reads.map((read) => read.id)).toEqual(Array(20).fill(id));
		await eventually(() => expect(cluster.has(doomed)).toBe(false));
		for (let price = 1; price <= 20; price++)
			expect(await change(id, price)).toMatchObject({ price });
		expect(cluster.has(first)).toBe(true);
	});
};
