import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, jest, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { neighbours, token } from "../../test/support/gateway.ts";
import type { Answer } from "../../test/support/http.ts";
import { freePort } from "../../test/support/processes.ts";
import { describeWith, startRedis } from "../../test/support/servers.ts";
import { type Shop, startShop, stub } from "../../test/support/shop.ts";
import { auth } from "../auth/auth.contract.ts";
import type { RateLimits } from "./rate-limits.ts";

const shops: Shop[] = [];
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
	jest.restoreAllMocks();
	for (const shop of shops.splice(0)) await shop.stop();
	for (const end of ends.splice(0)) await end();
});

async function start(env: Record<string, string> = {}): Promise<Shop> {
	const tokens = { access_token: "a", token_type: "bearer" as const, expires_in: 1, refresh_token: "r" };
	const signIn = stub(auth, {
		login: async () => tokens,
		revocations: async () => ({ revocations: [], now: new Date().toISOString() }),
	});
	const shop = await startShop({
		services: ["api"],
		stubs: [...neighbours().filter(({ name }) => name !== "auth"), signIn],
		env: { RATE_LIMIT_ENABLED: "true", RATE_LIMIT_PER_MINUTE: "5", RATE_LIMIT_STRICT_PER_MINUTE: "3", ...env },
	});
	shops.push(shop);
	return shop;
}
const limitsOf = ({ broker }: Shop) => (broker.getLocalService("api") as unknown as { limits: RateLimits }).limits;
const browse = (shop: Shop, options = {}) => shop.http("GET /api/products", options);
const signIn = (shop: Shop, options = {}) =>
	shop.http("POST /api/users/login", { body: { email: "zoe@example.com", password: "correct horse" }, ...options });
const repeat = async (times: number, ask: () => Promise<Answer>): Promise<number[]> => {
	const statuses: number[] = [];
	for (let i = 0; i < times; i++) statuses.push((await ask()).status);
	return statuses;
};

test("an address has so many requests a minute, and is told how many are left and when there are more", async () => {
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

test("users are counted by themselves, wherever they are; who brings a bad token counts as an address", async () => {
	const shop = await start();
	const [one, two] = [token(shop.env), token(shop.env)];
	expect(await repeat(6, () => browse(shop, { token: one }))).toEqual([200, 200, 200, 200, 200, 429]);
	expect((await browse(shop, { token: two })).status).toBe(200);
	expect(await repeat(6, () => browse(shop, { token: "nonsense" }))).toEqual([401, 401, 401, 401, 401, 429]);
	expect((await browse(shop)).status).toBe(429);
});

test("signing in is limited far more strictly, by address whoever one is, and apart from everything else", async () => {
	const shop = await start();
	expect(await repeat(4, () => signIn(shop))).toEqual([200, 200, 200, 429]);
	expect((await signIn(shop, { token: token(shop.env) })).status).toBe(429);
	expect((await browse(shop)).status).toBe(200);
});

test("X-Forwarded-For is believed as far as our own proxies reach, and no further", async () => {
	const from = (shop: Shop, address: string) => browse(shop, { headers: { "x-forwarded-for": address } });
	const bare = await start();
	let i = 0;
	expect((await repeat(6, () => from(bare, `203.0.113.${i++}`))).at(-1)).toBe(429);
	const behind = await start({ TRUST_PROXY: "1" });
	expect((await repeat(6, () => from(behind, `203.0.113.${i++}`))).at(-1)).toBe(200);
	expect((await repeat(6, () => from(behind, `198.51.100.${i++}, 203.0.113.200`))).at(-1)).toBe(429);
});

test("it can be switched off", async () => {
	const shop = await start({ RATE_LIMIT_ENABLED: "false" });
	const answers = await repeat(8, () => browse(shop));
	expect(new Set(answers)).toEqual(new Set([200]));
	expect((await browse(shop)).headers.get("ratelimit")).toBeNull();
});

test("without a Redis that answers everybody passes, and it is counted how often", async () => {
	const shop = await start({ CACHER: `redis://127.0.0.1:${await freePort()}` });
	expect(await repeat(8, () => browse(shop))).toEqual(Array(8).fill(200));
	expect(limitsOf(shop).uncounted).toBe(8);
});

describeWith(["redis-server"], "with a Redis", () => {
	test("gateways count together, and go on counting when it is back", async () => {
		const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-limits-"));
		const redis = await startRedis(folder);
		ends.push(async () => {
			await redis.stop();
			await rm(folder, { recursive: true, force: true });
		});
		const env = { CACHER: redis.url, RATE_LIMIT_PER_MINUTE: "1000" };
		const [one, two] = [await start(env), await start(env)];
		const left = async (shop: Shop) => Number(/r=(\d+)/.exec((await browse(shop)).headers.get("ratelimit") ?? "")?.[1]);
		const counted = (shop: Shop) =>
			eventually(async () => {
				const found = await left(shop);
				expect(found).toBeGreaterThan(0);
				return found;
			});
		const first = await counted(one);
		const second = await counted(two);
		expect(second).toBeLessThan(first);
		expect(await left(one)).toBe(second - 1);

		await redis.process.kill();
		expect((await browse(one)).status).toBe(200);
		await redis.restart();
		await counted(one);
	});
});
