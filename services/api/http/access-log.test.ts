import { afterEach, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { renderNodeMetrics } from "../../../lib/health/node-metrics.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { authStub, token as signed } from "../../../test/support/gateway.ts";
import { admin, type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { products } from "../../products/products.contract.ts";

type Line = Record<string, unknown> & { error?: { stack: string } };
const id = "019a0000-0000-7000-8000-000000000001";
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

let shop: Shop;
let lines: Line[];
let searches: (string | undefined)[];
/** Ends slow requests, whose timers would otherwise run for 10 s after the test. */
let ended: PromiseWithResolvers<void>;
async function start(env: Record<string, string> = {}) {
	lines = [];
	searches = [];
	ended = Promise.withResolvers();
	const catalogue = stub(products, {
		async list({ params }) {
			searches.push(params.q);
			if (params.q === "slow") await ended.promise;
			return { rows: [], total: 0 };
		},
		async get({ params }) {
			shop.broker.getLocalService("products").logger.warn("Looking", { for: params.id });
			throw new Errors.MoleculerClientError("There is none", 404, "PRODUCT_NOT_FOUND");
		},
		async remove() {
			throw new Error("the disk is full");
		},
	});
	shop = await startShop({
		services: ["api"],
		stubs: [catalogue, authStub()],
		env: { LOGLEVEL: "info", ...env },
		onLog: (line) => void lines.push(JSON.parse(line)),
	});
	return shop;
}
afterEach(async () => {
	ended.resolve();
	await shop?.stop();
});
const access = () => lines.filter(({ logger }) => logger === "access");
const oneLine = () =>
	eventually(() => {
		expect(access()).toHaveLength(1);
		return access()[0]!;
	});
const token = () => signed(shop.env, "admin", admin!.id);

test("writes one line per request with user, path, status and duration", async () => {
	await start();
	await shop.http("GET /api/products?q=knife", {
		token: token(),
		headers: { "X-Request-ID": "mine", traceparent },
	});
	expect(await oneLine()).toEqual({
		level: "info",
		timestamp: expect.any(String),
		logger: "access",
		service: "api",
		message: "A request was completed",
		request_id: "mine",
		method: "GET",
		path: "/api/products",
		status: 200,
		duration_ms: expect.any(Number),
		user_id: admin!.id,
		trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
	});
});

test("logs a rejected request as a warning with its code and correlation", async () => {
	await start();
	await shop.http(`GET /api/products/${id}`, { headers: { "X-Request-ID": "mine", traceparent } });
	expect(await oneLine()).toMatchObject({
		level: "warn",
		status: 404,
		code: "PRODUCT_NOT_FOUND",
		message: "A request was rejected",
	});
	expect(access()[0]).not.toHaveProperty("error");
	const [looking] = lines.filter(({ message }) => message === "Looking");
	expect(looking).toMatchObject({
		logger: "products",
		request_id: "mine",
		trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
		for: id,
	});
});

test("logs an internal error once, with its stack", async () => {
	await start();
	expect((await shop.http(`DELETE /api/products/${id}`, { token: token() })).status).toBe(500);
	expect(await oneLine()).toMatchObject({
		level: "error",
		status: 500,
		code: "INTERNAL_ERROR",
		user_id: admin!.id,
	});
	expect(access()[0]!.error!.stack).toContain("the disk is full");
	expect(lines.filter((line) => JSON.stringify(line).includes("the disk is full"))).toHaveLength(1);
});

test.each([
	["errors", ["warn", "error"]],
	["off", ["error"]],
])("writes only the lines that ACCESS_LOG=%s selects", async (ACCESS_LOG, levels) => {
	await start({ ACCESS_LOG });
	await shop.http("GET /api/products");
	await shop.http(`GET /api/products/${id}`);
	await shop.http(`DELETE /api/products/${id}`, { token: token() });
	await eventually(() => expect(access().at(-1)).toMatchObject({ level: "error" }));
	expect(access().map(({ level }) => level)).toEqual(levels);
});

test("counts requests by route, and all unknown paths as one", async () => {
	await start();
	const ids = [id, id.replace(/1$/, "2"), id.replace(/1$/, "3")];
	for (const one of ids) await shop.http(`GET /api/products/${one}`);
	for (const path of ["/a", "/b/c", "/api/nothing/x"]) await shop.http(`GET ${path}`);
	await fetch(`${shop.url}/api/products`, { method: "PROPFIND" });
	await eventually(async () => {
		const text = await renderNodeMetrics(shop.broker);
		const counted = text.split("\n").filter((line) => line.startsWith("shop_http_requests_total"));
		expect(counted.sort()).toEqual([
			'shop_http_requests_total{method="GET",route="/api/products/:id",status="404"} 3',
			'shop_http_requests_total{method="GET",route="none",status="404"} 3',
			'shop_http_requests_total{method="other",route="none",status="405"} 1',
		]);
		expect(text).toContain(
			'shop_http_request_duration_seconds_count{method="GET",route="/api/products/:id"} 3\n',
		);
		expect(text).toContain('shop_action_calls_total{action="products.get",outcome="refused"} 3\n');
	});
});

test("logs and counts a client that disconnects before the response", async () => {
	await start();
	const leaving = new AbortController();
	const left = fetch(`${shop.url}/api/products?q=slow`, { signal: leaving.signal }).catch(
		() => "left",
	);
	await eventually(() => expect(searches).toEqual(["slow"]));
	leaving.abort();
	expect(await left).toBe("left");
	expect(await oneLine()).toMatchObject({ status: 499, path: "/api/products" });
	expect(await renderNodeMetrics(shop.broker)).toContain(
		'shop_http_requests_total{method="GET",route="/api/products",status="499"} 1\n',
	);
});
