import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { serviceNames } from "../../lib/settings/node.ts";
import { type Customer, makeAdmin, makeProduct, placeOrder } from "../../test/support/builders.ts";
import { type Cluster, startCluster } from "../../test/support/cluster.ts";
import { root, services } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type Process, startProcess } from "../../test/support/processes.ts";
import { describeWith } from "../../test/support/servers.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { taxService } from "./tax.service.ts";
import { taxApi } from "./tax-api.ts";
import "../../services/tax/tax.contract.ts";

const rates = { DE: { name: "MwSt", rate: 0.19 }, AT: { name: "USt", rate: 0.2 } };
const cart = {
	currency: "EUR",
	country: null,
	region: null,
	lines: [{ product_id: uuid(), category: "Books", amount: 10 }],
	shipping: 5,
};
const carts = [cart, { ...cart, country: "AT" }, { ...cart, country: "FR" }];
const quotes = [rates.DE, rates.AT, null].map((rate) => ({
	prices_include_tax: true,
	lines: [rate],
	shipping: rate,
}));

const working = taxApi(rates);
/** Behavior of the API, which tests replace. */
let respond: RequestListener = working;
const api = createServer((req, res) => respond(req, res));
let url: string;
beforeAll(async () => {
	api.listen(0, "127.0.0.1");
	await once(api, "listening");
	url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
});
beforeEach(() => {
	respond = working;
});
afterAll(() => {
	api.closeAllConnections();
	api.close();
});

describe("a shop without its own tax service", () => {
	let shop: Shop;
	let buyer: Customer;
	beforeAll(async () => {
		shop = await startShop({
			services: serviceNames(services).filter((name) => name !== "tax"),
			stubs: [taxService(url)],
		});
		buyer = await makeAdmin(shop);
	});
	afterAll(() => shop?.stop());

	test("calculates the rates of the API", async () => {
		expect(await shop.call("tax.status")).toEqual({ enabled: true, prices_include_tax: true });
		await eventually(async () =>
			expect(await shop.call("tax.calculate", { carts })).toEqual(quotes),
		);
	});

	test("taxes orders with the rates of the API", async () => {
		const product = await makeProduct(shop, buyer, { price: 11.9 });
		await eventually(async () => {
			const { status, body } = await placeOrder(shop, buyer, product);
			expect([status, body.tax_amount, body.total_amount]).toEqual([201, 1.9, 11.9]);
		});
	});

	test("has no routes of the shop's own tax service", async () => {
		const { token } = buyer;
		expect((await shop.http("GET /api/tax/rates", { token })).body.code).toBe("ROUTE_NOT_FOUND");
	});

	test.each<[string, RequestListener]>([
		["does not respond in time", () => undefined],
		["fails", (_, res) => res.writeHead(500).end()],
		["responds with another format", (_, res) => res.end('[{"lines":[],"tax":1}]')],
		["responds with no JSON", (_, res) => res.end("rates")],
		["responds for too few carts", (_, res) => res.end("[]")],
	])("refuses orders, which change nothing, while the API %s", async (_, behavior) => {
		const product = await makeProduct(shop, buyer);
		respond = behavior;
		await expect(shop.call("tax.calculate", { carts: [cart] })).rejects.toMatchObject({
			type: "TAX_API_UNAVAILABLE",
		});
		const orders = async () => (await shop.http("GET /api/orders", buyer)).body.length;
		const before = await orders();
		const { status, body } = await placeOrder(shop, buyer, product);
		expect([status, body.code]).toEqual([503, "SERVICE_UNAVAILABLE"]);
		expect(await orders()).toBe(before);
	});
});

describeWith(["nats-server", "redis-server"], "npm run example", () => {
	let cluster: Cluster;
	let node: Process;
	beforeAll(async () => {
		cluster = await startCluster({ services: [] });
		node = startProcess({
			name: "tax",
			file: process.execPath,
			args: ["--no-warnings", "examples/run.ts", "examples/tax/tax.service.ts"],
			env: { ...cluster.env, TAX_API_URL: url, LOG_FORMAT: "json" },
			cwd: root,
			log: join(cluster.env.DATA_DIR!, "tax.log"),
		});
	});
	afterAll(async () => {
		await node?.kill();
		await cluster?.stop();
	});

	test("runs the service as a node of the cluster", async () => {
		await cluster.broker.waitForServices("tax");
		// On a busy machine, the API may respond after the time limit of the service.
		await eventually(async () =>
			expect(await cluster.call("tax.calculate", { carts })).toEqual(quotes),
		);
		expect(await node.term()).toBe(0);
	});
});
