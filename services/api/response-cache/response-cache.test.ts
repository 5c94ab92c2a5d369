import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Middleware } from "moleculer";
import { type ActionContract, contract } from "../../../lib/contracts/contract.ts";
import { renderNodeMetrics } from "../../../lib/health/node-metrics.ts";
import { defineService } from "../../../lib/service/define-service.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { authStub, inventoryStub, token } from "../../../test/support/gateway.ts";
import { recordedTraces } from "../../../test/support/recorded-traces.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";
import type { Gateway } from "../http/exchange.ts";

/** The actions of products that were called. */
let calls: string[] = [];
const listen = {
	name: "Listen",
	localAction(next: (ctx: object) => Promise<unknown>, { name }: { name: string }) {
		if (name.startsWith("products.")) {
			return (ctx: object) => {
				calls.push(name);
				return next(ctx);
			};
		}
		return next;
	},
} as unknown as Middleware;
const lines: { logger: string; request_id: string; status: number; path: string }[] = [];
const stubs = [authStub(), inventoryStub()];
async function start(env: Record<string, string> = {}): Promise<Shop> {
	const shop = await startShop({
		services: ["api", "products"],
		stubs,
		middlewares: [listen],
		env: { LOGLEVEL: "info", ...env },
		onLog: (line) => void lines.push(JSON.parse(line)),
	});
	// Shortly after the start the routes are read again, which discards cached responses.
	gatewayOf(shop).table.update = () => [];
	return shop;
}
const gatewayOf = ({ broker }: Shop) => broker.getLocalService("api") as unknown as Gateway;

let shop: Shop;
let admin: string;
let path: string;
beforeAll(async () => {
	shop = await start();
	admin = token(shop.env, "admin");
});
afterAll(() => shop?.stop());
let number = 0;
const make = async (body: object = {}) =>
	(
		await shop.http("POST /api/products", {
			token: admin,
			body: { name: "A book", price: 1, category: `books ${number}`, ...body },
		})
	).body;
beforeEach(async () => {
	number++;
	path = `/api/products/${(await make()).id}`;
	calls = [];
	lines.length = 0;
});
const list = (more = "") => `/api/products?category=books%20${number}${more}`;

describe("a cached response", () => {
	test("is sent without a call, identical except for the request's own headers", async () => {
		for (const request of [path, list()]) {
			const first = await shop.http(`GET ${request}`, { headers: { "x-request-id": "first" } });
			calls = [];
			const second = await shop.http(`GET ${request}`, {
				headers: { "x-request-id": "second", origin: "https://example.com" },
			});
			expect(calls).toEqual([]);
			expect([second.status, second.body]).toEqual([200, first.body]);
			const own = ["x-request-id", "x-process-time", "date"];
			const rest = ({ headers }: typeof first) =>
				[...headers].filter(([name]) => !own.includes(name));
			expect(rest(second)).toEqual(rest(first));
			expect(second.headers.get("x-request-id")).toBe("second");
			expect(Number(second.headers.get("x-process-time"))).toBeGreaterThan(0);
		}
	});

	test("is discarded when a row is changed, added or removed", async () => {
		const look = async () => {
			const responses = [await shop.http(`GET ${path}`), await shop.http(`GET ${list()}`)];
			return [
				responses[0]!.body.price,
				responses[1]!.headers.get("x-total-count"),
				responses[1]!.body[0]?.price,
			];
		};
		for (let i = 0; i < 2; i++) expect(await look()).toEqual([1, "1", 1]);
		expect(calls).toEqual(["products.get", "products.list"]);
		await shop.http(`PUT ${path}`, { token: admin, body: { price: 2 } });
		for (let i = 0; i < 2; i++) expect(await look()).toEqual([2, "1", 2]);
		await make({ price: 3 });
		for (let i = 0; i < 2; i++) expect(await look()).toEqual([2, "2", 2]);
		await shop.http(`DELETE ${path}`, { token: admin });
		for (let i = 0; i < 2; i++) {
			expect((await shop.http(`GET ${path}`)).status).toBe(404);
			expect(await look()).toEqual([undefined, "1", 3]);
		}
	});

	test("is not sent to a client that has it, and only its headers for HEAD", async () => {
		const { headers } = await shop.http(`GET ${path}`);
		const known = { "if-none-match": headers.get("etag")! };
		calls = [];
		for (const method of ["GET", "HEAD"]) {
			const again = await shop.http(`${method} ${path}`, { headers: known });
			expect([again.status, again.body, again.headers.get("etag")]).toEqual([
				304,
				"",
				headers.get("etag"),
			]);
			expect(again.headers.get("content-length")).toBeNull();
		}
		const head = await shop.http(`HEAD ${path}`);
		expect([head.status, head.body, head.headers.get("content-length")]).toEqual([
			200,
			"",
			headers.get("content-length"),
		]);
		expect(calls).toEqual([]);
		await shop.http(`PATCH ${path}`, { token: admin, body: { price: 9 } });
		expect((await shop.http(`GET ${path}`, { headers: known })).body.price).toBe(9);
	});

	test("depends on the query: each page has its own links, and errors are not cached", async () => {
		for (let i = 0; i < 2; i++) await make();
		for (let i = 0; i < 2; i++) {
			const link = async (query: string) =>
				(await shop.http(`GET ${list(query)}`)).headers.get("link");
			expect(await link("&limit=1")).toBe(
				`</api/products?category=books+${number}&limit=1&skip=1>; rel="next"`,
			);
			expect(await link("&limit=1&skip=2")).toBe(
				`</api/products?category=books+${number}&limit=1&skip=1>; rel="prev"`,
			);
			expect((await shop.http(`GET ${list("&limit=0")}`)).status).toBe(422);
			expect((await shop.http(`GET ${path}?id=1`)).status).toBe(422);
			expect(
				(await shop.http(`GET ${path}`, { headers: { "if-match": "nonsense" } })).body.code,
			).toBe("BAD_HEADER");
		}
	});

	test("is shared by queries that differ in ignored parameters", async () => {
		await shop.http(`GET ${list()}`);
		calls = [];
		for (const more of ["&utm_source=mail", "&q=", "&_=1"])
			expect((await shop.http(`GET ${list(more)}`)).status).toBe(200);
		expect(calls).toEqual([]);
	});

	test("is shared by all callers; only its sender sees an invalid token's error", async () => {
		const reported = async (options = {}) =>
			(await shop.http(`GET ${path}`, options)).headers.get("www-authenticate");
		expect(await reported({ token: "nonsense" })).not.toBeNull();
		calls = [];
		expect(await reported()).toBeNull();
		expect(await reported({ token: "nonsense" })).not.toBeNull();
		for (const role of ["user", "admin"] as const) {
			expect((await shop.http(`GET ${path}`, { token: token(shop.env, role) })).status).toBe(200);
		}
		expect(calls).toEqual([]);
	});

	test("appears in the log, metrics and traces", async () => {
		const gateway = gatewayOf(shop);
		const traces = recordedTraces();
		await shop.http(`GET ${path}`);
		const hitCount = async () => {
			const text = (await renderNodeMetrics(shop.broker)) as string;
			const series = '{method="GET",route="/api/products/:id",status="200"} ';
			const [, value] = text.split(`shop_http_requests_total${series}`);
			return Number.parseInt(value!, 10);
		};
		const before = await eventually(async () => {
			expect(await hitCount()).toBeGreaterThan(0);
			return hitCount();
		});
		calls = [];
		gateway.tracer = traces.of("api");
		await shop.http(`GET ${path}`, { headers: { "x-request-id": "kept" } });
		gateway.tracer = undefined;
		expect(calls).toEqual([]);
		await eventually(async () => {
			expect(await hitCount()).toBe(before + 1);
			expect(lines.find(({ request_id }) => request_id === "kept")).toMatchObject({
				logger: "access",
				status: 200,
				path,
			});
			const attributes = { "http.route": "/api/products/:id", "http.response.status_code": 200 };
			expect(traces.spans).toEqual([
				expect.objectContaining({ ended: true, attributes: expect.objectContaining(attributes) }),
			]);
		});
	});
});

test("discards cached responses when the routes change", async () => {
	for (let i = 0; i < 2; i++) await shop.http(`GET ${path}`);
	gatewayOf(shop).table.revision++;
	for (let i = 0; i < 2; i++) await shop.http(`GET ${path}`);
	expect(calls).toEqual(["products.get", "products.get"]);
});

test("counts requests with a cached response against the rate limit", async () => {
	const limited = await start({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_PER_MINUTE: "50" });
	try {
		const browse = async () => {
			const { status, headers } = await limited.http("GET /api/products");
			return { status, left: Number(/r=(\d+)/.exec(headers.get("ratelimit")!)![1]) };
		};
		const { left } = await browse();
		calls = [];
		for (let more = left - 1; more >= 0; more--)
			expect(await browse()).toEqual({ status: 200, left: more });
		expect(await browse()).toEqual({ status: 429, left: 0 });
		expect(calls).toEqual([]);
	} finally {
		await limited.stop();
	}
});

test("rejects a contract that caches a response of a non-GET or a protected action", () => {
	const defineWith = (action: Partial<ActionContract>) => () => {
		const cached = {
			rest: "GET /things",
			auth: "anyone",
			params: {},
			returns: { type: "any" },
			responseCache: { ttl: 1000 },
			...action,
		} as const;
		return defineService(contract({ name: "things", actions: { cached } }))({
			actions: { cached: async () => null },
		});
	};
	expect(defineWith({})).not.toThrow();
	for (const wrong of [
		{ auth: "user" },
		{ auth: "admin" },
		{ rest: "POST /things" },
		{ also: ["POST"] },
		{ stream: { watch: "things.versions" } },
	] as const) {
		expect(defineWith(wrong)).toThrow("`responseCache`");
	}
	expect(defineWith({ rest: undefined as never })).toThrow("`responseCache`");
});
