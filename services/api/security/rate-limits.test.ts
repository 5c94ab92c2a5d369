import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, jest, test } from "@jest/globals";
import { Redis } from "ioredis";
import type { ServiceSchema } from "moleculer";
import { openCache } from "../../../lib/caching/lease-cache.ts";
import { contract } from "../../../lib/contracts/contract.ts";
import { renderNodeMetrics } from "../../../lib/health/node-metrics.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import type { HttpResponse } from "../../../test/support/http.ts";
import { freePort } from "../../../test/support/processes.ts";
import { describeWith, evictionPolicy, startRedis } from "../../../test/support/servers.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { auth } from "../../auth/auth.contract.ts";
import type { RateLimits } from "./rate-limits.ts";

const shops: Shop[] = [];
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
	jest.restoreAllMocks();
	for (const shop of shops.splice(0)) await shop.stop();
	for (const end of ends.splice(0)) await end();
});

async function start(
	env: Record<string, string> = {},
	others: ServiceSchema[] = [],
): Promise<Shop> {
	const tokens = {
		access_token: "a",
		token_type: "bearer" as const,
		expires_in: 1,
		refresh_token: "r",
	};
	const signIn = stub(auth, {
		login: async () => tokens,
		revocations: async () => ({ revocations: [], now: new Date().toISOString() }),
	});
	const shop = await startShop({
		services: ["api"],
		stubs: [...stubbedServices().filter(({ name }) => name !== "auth"), signIn, ...others],
		env: {
			RATE_LIMIT_ENABLED: "true",
			RATE_LIMIT_PER_MINUTE: "5",
			RATE_LIMIT_STRICT_PER_MINUTE: "3",
			...env,
		},
	});
	shops.push(shop);
	return shop;
}
const limitsOf = ({ broker }: Shop) =>
	(broker.getLocalService("api") as unknown as { rateLimits: RateLimits }).rateLimits;
const browse = (shop: Shop, options = {}) => shop.http("GET /api/products", options);
const signIn = (shop: Shop, options = {}) =>
	shop.http("POST /api/users/login", {
		body: { email: "zoe@example.com", password: "correct horse" },
		...options,
	});
const repeat = async (times: number, send: () => Promise<HttpResponse>): Promise<number[]> => {
	const statuses: number[] = [];
	for (let i = 0; i < times; i++) statuses.push((await send()).status);
	return statuses;
};

test("limits the requests of an address and sends remaining quota and reset time", async () => {
	const shop = await start();
	const { headers } = await browse(shop);
	expect(headers.get("ratelimit-policy")).toBe('"default";q=5;w=60');
	expect(headers.get("ratelimit")).toMatch(/^"default";r=4;t=(60|5\d)$/);
	expect(await repeat(5, () => browse(shop))).toEqual([200, 200, 200, 200, 429]);
	const refused = await browse(shop);
	expect(refused.body).toMatchObject({ status: 429, code: "RATE_LIMITED" });
	expect(refused.body.retry_after).toBeUndefined();
	expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
	expect(refused.headers.get("ratelimit")).toMatch(/^"default";r=0;t=\d+$/);

	const now = Date.now();
	jest.spyOn(Date, "now").mockReturnValue(now + 61_000);
	expect((await browse(shop)).status).toBe(200);
});

test("counts a user across addresses, and an invalid token by address", async () => {
	const shop = await start();
	const [one, two] = [token(shop.env), token(shop.env)];
	expect(await repeat(6, () => browse(shop, { token: one }))).toEqual([
		200, 200, 200, 200, 200, 429,
	]);
	expect((await browse(shop, { token: two })).status).toBe(200);
	expect(await repeat(6, () => browse(shop, { token: "nonsense" }))).toEqual([
		200, 200, 200, 200, 200, 429,
	]);
	expect((await browse(shop)).status).toBe(429);
});

test("limits sign-ins separately and more strictly, by address", async () => {
	const shop = await start();
	expect(await repeat(4, () => signIn(shop))).toEqual([200, 200, 200, 429]);
	expect((await signIn(shop, { token: token(shop.env) })).status).toBe(429);
	expect((await browse(shop)).status).toBe(200);
});

test("limits a route in the same way if its target has the absolute form", async () => {
	const { url } = await start();
	const { hostname, port } = new URL(url);
	const signIn = () =>
		new Promise<number | undefined>((resolve, reject) => {
			const headers = { "content-type": "application/json" };
			const path = "http://shop.example/api/users/login";
			request({ method: "POST", hostname, port, path, headers }, (response) =>
				response.resume().once("end", () => resolve(response.statusCode)),
			)
				.once("error", reject)
				.end('{"email":"zoe@example.com","password":"correct horse"}');
		});
	const statuses = [await signIn(), await signIn(), await signIn(), await signIn()];
	expect(statuses).toEqual([200, 200, 200, 429]);
});

test("limits guests of a route more strictly than users", async () => {
	const parcels = contract({
		name: "parcels",
		actions: {
			open: {
				rest: "POST /parcels",
				repeatable: "a test",
				auth: "anyone",
				strict: "guests",
				params: {},
				returns: { type: "any" },
			},
		},
	});
	const shop = await start({}, [stub(parcels, { open: async () => null })]);
	const open = (options: object = {}) => shop.http("POST /api/parcels", { body: {}, ...options });
	expect(await repeat(4, () => open())).toEqual([200, 200, 200, 429]);
	expect((await open({ token: "nonsense" })).status).toBe(429);
	const user = token(shop.env);
	expect(await repeat(6, () => open({ token: user }))).toEqual([200, 200, 200, 200, 200, 429]);
});

test("trusts X-Forwarded-For only as far as the configured proxies", async () => {
	const from = (shop: Shop, address: string) =>
		browse(shop, { headers: { "x-forwarded-for": address } });
	const bare = await start();
	let i = 0;
	expect((await repeat(6, () => from(bare, `203.0.113.${i++}`))).at(-1)).toBe(429);
	const behind = await start({ TRUST_PROXY: "1" });
	expect((await repeat(6, () => from(behind, `203.0.113.${i++}`))).at(-1)).toBe(200);
	expect((await repeat(6, () => from(behind, `198.51.100.${i++}, 203.0.113.200`))).at(-1)).toBe(
		429,
	);
});

test("counts nothing when the limits are disabled", async () => {
	const shop = await start({ RATE_LIMIT_ENABLED: "false" });
	const responses = await repeat(8, () => browse(shop));
	expect(new Set(responses)).toEqual(new Set([200]));
	expect((await browse(shop)).headers.get("ratelimit")).toBeNull();
});

test("counts all requests before routing, also unknown paths and preflights", async () => {
	const others = [
		...[
			"GET /",
			"GET /health",
			"GET /openapi.json",
			"GET /asyncapi.json",
			"GET /docs",
			"GET /docs/errors",
			"GET /docs/page.js",
		],
		...[
			"GET /nowhere",
			"GET /api/nowhere/1",
			"PUT /docs",
			"DELETE /api/products",
			"OPTIONS /api/products",
			"OPTIONS /nowhere",
			"GET /%ff",
		],
	];
	const shop = await start({ RATE_LIMIT_PER_MINUTE: String(others.length) });
	const first = await Promise.all(others.map((request) => shop.http(request)));
	expect(first.map(({ status, headers }) => [status === 429, headers.has("ratelimit")])).toEqual(
		others.map(() => [false, true]),
	);
	const then = await Promise.all(others.map((request) => shop.http(request)));
	expect(then.map(({ status }) => status)).toEqual(others.map(() => 429));
	const { body, headers } = await shop.http("GET /nowhere");
	expect(body).toMatchObject({ code: "RATE_LIMITED" });
	expect(headers.get("retry-after")).toMatch(/^\d+$/);
	expect((await browse(shop)).status).toBe(429);
	expect((await browse(shop, { token: token(shop.env) })).status).toBe(200);
});

test("does not limit the probes of load balancers", async () => {
	const shop = await start();
	for (const probe of ["GET /health/live", "GET /health/ready", "GET /health/serving"]) {
		const responses = await Promise.all(Array.from({ length: 20 }, () => shop.http(probe)));
		// On a busy machine, a check of the health may fail.
		for (const { status, headers } of responses)
			expect([status === 429, headers.has("ratelimit")]).toEqual([false, false]);
	}
	expect(await repeat(6, () => browse(shop))).toEqual([200, 200, 200, 200, 200, 429]);
});

test("counts a refused request for its route", async () => {
	const shop = await start();
	await repeat(6, () => browse(shop));
	await repeat(1, () => shop.http("GET /nowhere"));
	const text = await renderNodeMetrics(shop.broker);
	expect(text).toContain(
		'shop_http_requests_total{method="GET",route="/api/products",status="429"} 1\n',
	);
	expect(text).toContain('shop_http_requests_total{method="GET",route="none",status="429"} 1\n');
	expect(text).toContain('shop_rate_limit_refused_total{policy="default"} 2\n');
});

test("counts clients separately behind a proxy that adds ports", async () => {
	const shop = await start({ TRUST_PROXY: "1" });
	const from = (hop: string) => browse(shop, { headers: { "x-forwarded-for": hop } });
	let port = 40_000;
	expect(await repeat(6, () => from(`203.0.113.1:${port++}`))).toEqual([
		200, 200, 200, 200, 200, 429,
	]);
	expect((await from(`203.0.113.2:${port}`)).status).toBe(200);
	expect((await from(`[2001:db8::1]:${port}`)).status).toBe(200);
});

test("counts in memory while Redis does not respond", async () => {
	const shop = await start({ CACHER: `redis://127.0.0.1:${await freePort()}` });
	expect(await repeat(7, () => browse(shop))).toEqual([200, 200, 200, 200, 200, 429, 429]);
	expect(limitsOf(shop).uncounted).toBe(7);
});

describeWith(["redis-server"], "with a Redis", () => {
	/** Waits until the gateway counts in Redis; before it has connected, it counts in its memory. */
	const connected = (shop: Shop) =>
		eventually(async () => {
			const before = limitsOf(shop).uncounted;
			await browse(shop);
			expect(limitsOf(shop).uncounted).toBe(before);
		});
	/**
	 * Repeats a check with a new user until Redis has counted all of its requests: a gateway counts
	 * in its memory when Redis does not respond within 100 ms.
	 */
	const withCountedUser = <T>(
		gateways: Shop[],
		check: (user: { token: string }) => Promise<T>,
	): Promise<T> =>
		eventually(async () => {
			const before = gateways.map((one) => limitsOf(one).uncounted);
			const result = await check({ token: token(gateways[0]!.env) });
			expect(gateways.map((one) => limitsOf(one).uncounted)).toEqual(before);
			return result;
		});
	/** Starts a Redis server for one test, with a client to inspect it. */
	async function openRedis(args: string[] = []) {
		const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-limits-"));
		const redis = await startRedis(folder, args);
		const raw = new Redis(redis.url);
		// Without a listener, ioredis prints that a test has stopped the server.
		raw.on("error", () => undefined);
		ends.push(async () => {
			raw.disconnect();
			await redis.stop();
			await rm(folder, { recursive: true, force: true });
		});
		return { url: redis.url, raw, redis };
	}

	test("shares counters between gateways, also after Redis restarts", async () => {
		const { url, redis } = await openRedis();
		const env = { CACHER: url, RATE_LIMIT_PER_MINUTE: "1000" };
		const [one, two] = [await start(env), await start(env)];
		await Promise.all([connected(one), connected(two)]);
		const left = async (shop: Shop, user: object) =>
			Number(/r=(\d+)/.exec((await browse(shop, user)).headers.get("ratelimit") ?? "")?.[1]);
		const counted = await withCountedUser([one, two], async (user) => {
			expect(await left(one, user)).toBe(999);
			expect(await left(two, user)).toBe(998);
			expect(await left(one, user)).toBe(997);
			return user;
		});

		await redis.process.kill();
		const { uncounted } = limitsOf(one);
		// The gateway's own counter contains only the requests that Redis did not count.
		expect(await left(one, counted)).toBe(999);
		expect(limitsOf(one).uncounted).toBe(uncounted + 1);
		await redis.restart();
		await connected(one);
	});

	test("rejects a client without quota at every gateway until its window ends", async () => {
		const { url } = await openRedis();
		const [one, two] = [await start({ CACHER: url }), await start({ CACHER: url })];
		await Promise.all([connected(one), connected(two)]);
		const { status, headers } = await withCountedUser([one, two], async (user) => {
			const statuses = await repeat(7, () => browse(one, user));
			expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
			return browse(two, user);
		});
		expect(status).toBe(429);
		const [, seconds] = /^"default";r=0;t=(\d+)$/.exec(headers.get("ratelimit")!) ?? [];
		expect(Number(seconds)).toBeGreaterThanOrEqual(1);
		expect(Number(seconds)).toBeLessThanOrEqual(60);
	});

	test("keeps counters and holds when cached pages fill Redis", async () => {
		const { url, raw } = await openRedis([
			"--maxmemory",
			"8mb",
			"--maxmemory-policy",
			evictionPolicy(),
		]);
		const cache = openCache(
			{ NAMESPACE: "", CACHER: url },
			{ warn: () => undefined, info: () => undefined },
		);
		ends.push(() => cache.close());
		const shop = await start({ CACHER: url, RATE_LIMIT_PER_MINUTE: "1000" });
		await connected(shop);
		await repeat(20, () => browse(shop));
		// Redis has also counted the requests to which it did not respond in time.
		await connected(shop);
		const [bucket] = await raw.keys("*:limits:*");
		const counters = await raw.hgetall(bucket!);

		const pages = cache.of("pages", 60_000);
		const gate = Promise.withResolvers<void>();
		const change = cache.of("things", 60_000).whileInvalidated(["a"], () => gate.promise);
		const evicted = async () => Number(/evicted_keys:(\d+)/.exec(await raw.info("stats"))![1]);
		const page = "x".repeat(200_000);
		let number = 0;
		await eventually(async () => {
			for (let i = 0; i < 20; i++)
				await pages.readResult(`page ${number++}`, 60_000, async () => page);
			expect(await evicted()).toBeGreaterThan(100);
		});

		expect(await raw.hgetall(bucket!)).toEqual(counters);
		expect(await raw.get("cache::things:row:a")).toMatch(/^h/);
		gate.resolve();
		await change;
		expect(await raw.get("cache::things:row:a")).toBeNull();
		// Redis still accepts writes, because pages can be evicted.
		expect(await raw.set("cache::probe", page, "PX", 1000)).toBe("OK");
	});

	test("resets all counters of a bucket when its window ends", async () => {
		const { url, raw } = await openRedis();
		const shop = await start({ CACHER: url, RATE_LIMIT_PER_MINUTE: "1000" });
		await connected(shop);
		await repeat(6, () => browse(shop));
		const [bucket, ...others] = await raw.keys("*:limits:*");
		expect(others).toEqual([]);
		expect(await raw.ttl(bucket!)).toBe(-1);
		await eventually(async () => {
			const before = limitsOf(shop).uncounted;
			await raw.hset(bucket!, "ends", "1");
			expect((await browse(shop)).headers.get("ratelimit")).toMatch(/r=999;t=60$/);
			expect(limitsOf(shop).uncounted).toBe(before);
		});
		expect(await raw.hlen(bucket!)).toBe(2);
	});
});
