import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, type Server, startRedis } from "../../test/support/servers.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import { type Cache, createCache } from "./lease-cache.ts";
import { memoryStore } from "./memory-store.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";
import { type CacheStore, noStore } from "./store.ts";
import { ValidatedCache } from "./validated-cache.ts";

/** The database: the committed price, and the number of reads. */
let price: number;
let reads: number;
const read = async () => {
	reads++;
	return `price ${price}`;
};
const commit = (to: number) => async () => {
	price = to;
};
const quiet = { warn: () => undefined, info: () => undefined };
const length = (value: string) => value.length;
let names = 0;
let service: string;

beforeEach(() => {
	price = 1;
	reads = 0;
	service = `things${names++}`;
});

/** Tests of a gateway and a node that changes the rows of its responses, for any store. */
function behavior(open: () => { here: CacheStore; there: CacheStore }): void {
	let store: CacheStore;
	let cache: Cache;
	let validated: ValidatedCache<string>;
	let change: (work: () => Promise<unknown>) => Promise<unknown>;
	beforeEach(() => {
		const { here, there } = open();
		store = here;
		cache = createCache(here, "cache::");
		validated = new ValidatedCache(cache, length);
		change = (work) => createCache(there, "cache::").of(service, 60_000).whileInvalidated([], work);
	});
	const fetch = (from = validated, make = read) => from.get(service, "/things/1", 60_000, make);

	test("concurrent lookups of versions share one; a change affects only its service", async () => {
		const lookups: (readonly string[])[] = [];
		const counted = createCache(
			{
				...store,
				readOrLease: (keys) => {
					lookups.push(keys);
					return store.readOrLease(keys);
				},
			},
			"cache::",
		);
		const versions = () => Promise.all([service, `${service}-2`, service].map(counted.version));
		const [own, other, again] = await versions();
		expect(lookups.map((keys) => keys.length)).toEqual([2]);
		expect(again).toBe(own);
		expect(other).not.toBe(own);
		await change(async () => undefined);
		const [changed, unchanged] = await versions();
		expect(changed).not.toBe(own);
		expect(unchanged).toBe(other);
	});

	test("getMany requests only the missing keys, and absent values again", async () => {
		const lookups: string[][] = [];
		const rows = (keys: string[]) =>
			validated.getMany(service, keys, 60_000, async (missing) => {
				lookups.push(missing);
				return missing.map((key) => (key === "none" ? null : `${key} ${price}`));
			});
		expect(await rows(["a", "none", "b"])).toEqual(["a 1", null, "b 1"]);
		expect(await rows(["c", "b", "none", "a"])).toEqual(["c 1", "b 1", null, "a 1"]);
		expect(await rows(["a", "b"])).toEqual(["a 1", "b 1"]);
		await change(commit(2));
		expect(await rows(["a", "b"])).toEqual(["a 2", "b 2"]);
		expect(lookups).toEqual([
			["a", "none", "b"],
			["c", "none"],
			["a", "b"],
		]);
	});

	test("a value is made once, and again after a change on another node", async () => {
		for (let i = 0; i < 3; i++) expect(await fetch()).toBe("price 1");
		expect(reads).toBe(1);
		for (let to = 2; to < 6; to++) {
			await change(commit(to));
			for (let i = 0; i < 2; i++) expect(await fetch()).toBe(`price ${to}`);
			expect(reads).toBe(to);
		}
		await validated.get(service, "/things/2", 60_000, read);
		expect(reads).toBe(6);
	});

	test("caches no value during a change, even if its node dies after the commit", async () => {
		await fetch();
		const { promise: committed, resolve: die } = Promise.withResolvers<void>();
		let before = "";
		void change(async () => {
			before = await fetch();
			await commit(2)();
			die();
			return new Promise(() => undefined);
		});
		await committed;
		expect([before, reads]).toEqual(["price 1", 2]);
		for (let i = 0; i < 2; i++) expect(await fetch()).toBe("price 2");
		expect(reads).toBe(4);
	});

	test("a value begun before a change is not returned after it", async () => {
		const slow = Promise.withResolvers<void>();
		const begun = Promise.withResolvers<void>();
		const pending = fetch(validated, async () => {
			const value = await read();
			begun.resolve();
			await slow.promise;
			return value;
		});
		await begun.promise;
		await change(commit(2));
		slow.resolve();
		expect(await pending).toBe("price 1");
		expect(await fetch()).toBe("price 2");
		expect(await fetch()).toBe("price 2");
	});

	test("a value is not cached if its version was read before a change", async () => {
		const late = Object.assign(Object.create(cache) as Cache, {
			async version(name: string) {
				const version = await cache.version(name);
				if (price === 1) await change(commit(2));
				return version;
			},
		});
		const behind = new ValidatedCache(late, length);
		for (let i = 0; i < 3; i++) expect(await fetch(behind)).toBe("price 2");
		// The first value was current, but its version was not.
		expect(reads).toBe(2);
	});

	test("concurrent reads share one lookup; later reads see changes made during it", async () => {
		await fetch();
		let lookups = 0;
		let gate: Promise<unknown> = Promise.resolve();
		const watched: CacheStore = {
			...store,
			async readOrLease(keys) {
				lookups++;
				const taken = await store.readOrLease(keys);
				await gate;
				return taken;
			},
		};
		const shared = new ValidatedCache(createCache(watched, "cache::"), length);
		await fetch(shared);
		lookups = 0;
		expect(await Promise.all(Array.from({ length: 20 }, () => fetch(shared)))).toEqual(
			Array(20).fill("price 1"),
		);
		expect(lookups).toBe(1);

		const slow = Promise.withResolvers<void>();
		gate = slow.promise;
		const early = fetch(shared);
		await eventually(() => expect(lookups).toBe(2));
		// It has read the state before the change, and is still pending.
		await new Promise(setImmediate);
		await change(commit(2));
		const late = Array.from({ length: 20 }, () => fetch(shared));
		slow.resolve();
		await early;
		expect(await Promise.all(late)).toEqual(Array(20).fill("price 2"));
		expect(lookups).toBe(3);
	});
}

describe("validated cache with an in-memory store", () => {
	behavior(() => {
		const store = memoryStore();
		return { here: store, there: store };
	});

	test("a value expires after its time to live", async () => {
		let now = 1;
		const validated = new ValidatedCache(createCache(memoryStore(), ""), length, {
			now: () => now,
		});
		const fetch = () => validated.get(service, "/", 1000, read);
		await fetch();
		now = 1000;
		await fetch();
		expect(reads).toBe(1);
		now = 1002;
		await fetch();
		expect(reads).toBe(2);
	});

	test("failures are not cached", async () => {
		const validated = new ValidatedCache(createCache(memoryStore(), ""), length);
		await expect(
			validated.get(service, "/", 1000, () => Promise.reject(new Error("NOT_FOUND"))),
		).rejects.toThrow("NOT_FOUND");
		expect(await validated.get(service, "/", 1000, read)).toBe("price 1");
	});

	test("memory is bounded, and the least recently used entries are evicted first", async () => {
		const cache = createCache(memoryStore(), "");
		const validated = new ValidatedCache<string>(cache, length, { maxBytes: 10_000 });
		const fetch = (key: string, size = 998) =>
			validated.get(service, key, 60_000, async () => read().then(() => "x".repeat(size)));
		for (const key of "0123456789") await fetch(key);
		expect([validated.bytes, reads]).toEqual([10_000, 10]);
		await fetch("0");
		await fetch("a");
		expect([validated.bytes, reads]).toEqual([10_000, 11]);
		await fetch("0");
		expect(reads).toBe(11);
		await fetch("1");
		expect(reads).toBe(12);
		// A replaced entry counts once.
		await cache.of(service, 1).whileInvalidated([], read);
		await fetch("1", 498);
		expect(validated.bytes).toBe(9_500);
	});

	test("lookups are counted by result", async () => {
		const metrics = new Metrics();
		const cache = createCache(memoryStore(), "");
		const validated = new ValidatedCache(cache, length, { metrics });
		for (let i = 0; i < 3; i++) await validated.get(service, "/", 1000, read);
		await cache
			.of(service, 1000)
			.whileInvalidated([], () => validated.get(service, "/", 1000, read));
		const text = await metrics.text();
		for (const [result, count] of Object.entries({ hit: 2, miss: 1, busy: 1 })) {
			expect(text).toContain(
				`shop_validated_cache_lookups_total{service="${service}",result="${result}"} ${count}\n`,
			);
		}
	});
});

test("nothing is cached without a store", async () => {
	const validated = new ValidatedCache(createCache(noStore, ""), length);
	for (let i = 1; i < 4; i++) {
		await commit(i)();
		expect(await validated.get(service, "/", 60_000, read)).toBe(`price ${i}`);
	}
	expect(validated.bytes).toBe(0);
});

describeWith(["redis-server"], "validated cache with Redis", () => {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-validated-cache-"));
	const stores: CacheStore[] = [];
	let redis: Server;
	const open = () => {
		const store = redisStore(connectRedis(redis.url, quiet), 10_000);
		stores.push(store);
		return store;
	};
	/** Waits until values are cached again. */
	const works = (validated: ValidatedCache<string>, key = "/probe") =>
		eventually(async () => {
			await validated.get(service, key, 60_000, read);
			const before = reads;
			await validated.get(service, key, 60_000, read);
			expect(reads).toBe(before);
		});

	beforeAll(async () => {
		redis = await startRedis(folder);
		for (const store of [open(), open()])
			await works(new ValidatedCache(createCache(store, "cache::"), length));
	});
	afterAll(async () => {
		await Promise.all(stores.map((store) => store.close()));
		await redis?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	behavior(() => ({ here: stores[0]!, there: stores[1]! }));

	test("makes every value without Redis, and uses no stale entry when it is back", async () => {
		const [here, there] = [open(), open()];
		const validated = new ValidatedCache(createCache(here, "cache::"), length);
		const fetch = () => validated.get(service, "/things/1", 60_000, read);
		await works(validated);
		await fetch();
		await redis.process.kill();
		expect(await fetch()).toBe("price 1");
		await createCache(there, "cache::").of(service, 60_000).whileInvalidated([], commit(2));
		expect(await fetch()).toBe("price 2");
		await redis.restart();
		await works(validated);
		expect(await fetch()).toBe("price 2");
	});

	test("a hanging Redis delays no read for long, and its stale values are not used", async () => {
		const connection = connectRedis(redis.url, quiet);
		const there = redisStore(connection);
		const here = redisStore(connectRedis(redis.url, quiet));
		stores.push(here, there);
		const [validated, other] = [here, there].map(
			(store) => new ValidatedCache(createCache(store, "cache::"), length),
		);
		for (const one of [validated!, other!]) await works(one);
		const fetch = () => validated!.get(service, "/things/1", 60_000, read);
		await works(validated!, "/things/1");
		// Reconnects when the test calls `connect`.
		connection.options.retryStrategy = () => null;
		redis.process.pause();
		expect(await fetch()).toBe("price 1");
		await createCache(there, "cache::").of(service, 60_000).whileInvalidated([], commit(2));
		expect(await fetch()).toBe("price 2");
		// The time that a reconnected node waits for the announcements of others does not elapse.
		const clock = jest.spyOn(Date, "now").mockReturnValue(Date.now());
		try {
			redis.process.resume();
			await eventually(() => here.ping());
			expect(await fetch()).toBe("price 2");
			await connection.connect();
			// Redis may also have received the hold of the change.
			await eventually(async () =>
				expect(`${await connection.get(`cache::${service}:generation`)}`).not.toMatch(/^v/),
			);
		} finally {
			clock.mockRestore();
		}
		const seen = new Set<string>();
		await eventually(async () => {
			seen.add(await fetch());
			const before = reads;
			seen.add(await fetch());
			expect(reads).toBe(before);
		});
		expect([...seen]).toEqual(["price 2"]);
	});
});
