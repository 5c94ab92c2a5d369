import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, type Server, startRedis } from "../../test/support/servers.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import { type Cache, createCache } from "./lease-cache.ts";
import { memoryStore } from "./memory-store.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";
import { type CacheStore, noStore } from "./store.ts";
import { ValidatedCache } from "./validated-cache.ts";

/** The database: what is committed, and how often it was read. */
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
const length = (answer: string) => answer.length;
let names = 0;
let service: string;

beforeEach(() => {
	price = 1;
	reads = 0;
	service = `things${names++}`;
});

/** What holds for a gateway, and for another node that changes what its answers are made of, whatever the cache between them is kept in. */
function behaviour(open: () => { here: CacheStore; there: CacheStore }): void {
	let store: CacheStore;
	let cache: Cache;
	let near: ValidatedCache<string>;
	let change: (work: () => Promise<unknown>) => Promise<unknown>;
	beforeEach(() => {
		const { here, there } = open();
		store = here;
		cache = createCache(here, "cache::");
		near = new ValidatedCache(cache, length);
		change = (work) => createCache(there, "cache::").of(service, 60_000).whileInvalidated([], work);
	});
	const ask = (from = near, make = read) => from.get(service, "/things/1", 60_000, make);

	test("of many at once only those that are not kept are asked for, and what there is not is asked for again", async () => {
		const asked: string[][] = [];
		const rows = (keys: string[]) =>
			near.getMany(service, keys, 60_000, async (missing) => {
				asked.push(missing);
				return missing.map((key) => (key === "none" ? null : `${key} ${price}`));
			});
		expect(await rows(["a", "none", "b"])).toEqual(["a 1", null, "b 1"]);
		expect(await rows(["c", "b", "none", "a"])).toEqual(["c 1", "b 1", null, "a 1"]);
		expect(await rows(["a", "b"])).toEqual(["a 1", "b 1"]);
		await change(commit(2));
		expect(await rows(["a", "b"])).toEqual(["a 2", "b 2"]);
		expect(asked).toEqual([
			["a", "none", "b"],
			["c", "none"],
			["a", "b"],
		]);
	});

	test("an answer is made once, and anew after a change at another node", async () => {
		for (let i = 0; i < 3; i++) expect(await ask()).toBe("price 1");
		expect(reads).toBe(1);
		for (let to = 2; to < 6; to++) {
			await change(commit(to));
			for (let i = 0; i < 2; i++) expect(await ask()).toBe(`price ${to}`);
			expect(reads).toBe(to);
		}
		await near.get(service, "/things/2", 60_000, read);
		expect(reads).toBe(6);
	});

	test("while a change is under way answers are made each time and not kept, also where its node dies after the commit", async () => {
		await ask();
		const { promise: committed, resolve: die } = Promise.withResolvers<void>();
		let before = "";
		void change(async () => {
			before = await ask();
			await commit(2)();
			die();
			return new Promise(() => undefined);
		});
		await committed;
		expect([before, reads]).toEqual(["price 1", 2]);
		for (let i = 0; i < 2; i++) expect(await ask()).toBe("price 2");
		expect(reads).toBe(4);
	});

	test("an answer that was begun before a change is given to nobody after it", async () => {
		const slow = Promise.withResolvers<void>();
		const begun = Promise.withResolvers<void>();
		const asking = ask(near, async () => {
			const answer = await read();
			begun.resolve();
			await slow.promise;
			return answer;
		});
		await begun.promise;
		await change(commit(2));
		slow.resolve();
		expect(await asking).toBe("price 1");
		expect(await ask()).toBe("price 2");
		expect(await ask()).toBe("price 2");
	});

	test("nor is one before which the version was read, and that was begun after the change", async () => {
		const late = Object.assign(Object.create(cache) as Cache, {
			async version(name: string) {
				const version = await cache.version(name);
				if (price === 1) await change(commit(2));
				return version;
			},
		});
		const behind = new ValidatedCache(late, length);
		for (let i = 0; i < 3; i++) expect(await ask(behind)).toBe("price 2");
		// The first one was right, but nobody could know.
		expect(reads).toBe(2);
	});

	test("those who ask together ask the cache once; who comes while it is asked is told of what was changed meanwhile", async () => {
		await ask();
		let asked = 0;
		let gate: Promise<unknown> = Promise.resolve();
		const watched: CacheStore = {
			...store,
			async readOrLease(keys) {
				asked++;
				const taken = await store.readOrLease(keys);
				await gate;
				return taken;
			},
		};
		const shared = new ValidatedCache(createCache(watched, "cache::"), length);
		await ask(shared);
		asked = 0;
		expect(await Promise.all(Array.from({ length: 20 }, () => ask(shared)))).toEqual(
			Array(20).fill("price 1"),
		);
		expect(asked).toBe(1);

		const slow = Promise.withResolvers<void>();
		gate = slow.promise;
		const early = ask(shared);
		await eventually(() => expect(asked).toBe(2));
		// It has read what was true before the change, and is still on its way.
		await new Promise(setImmediate);
		await change(commit(2));
		const late = Array.from({ length: 20 }, () => ask(shared));
		slow.resolve();
		await early;
		expect(await Promise.all(late)).toEqual(Array(20).fill("price 2"));
		expect(asked).toBe(3);
	});
}

describe("answers near a cache in memory", () => {
	behaviour(() => {
		const store = memoryStore();
		return { here: store, there: store };
	});

	test("an answer is not kept longer than it may be", async () => {
		let now = 1;
		const near = new ValidatedCache(createCache(memoryStore(), ""), length, { now: () => now });
		const ask = () => near.get(service, "/", 1000, read);
		await ask();
		now = 1000;
		await ask();
		expect(reads).toBe(1);
		now = 1002;
		await ask();
		expect(reads).toBe(2);
	});

	test("failures are not kept", async () => {
		const near = new ValidatedCache(createCache(memoryStore(), ""), length);
		await expect(
			near.get(service, "/", 1000, () => Promise.reject(new Error("NOT_FOUND"))),
		).rejects.toThrow("NOT_FOUND");
		expect(await near.get(service, "/", 1000, read)).toBe("price 1");
	});

	test("it takes as much memory as it may and no more; what nobody asked for the longest time goes first", async () => {
		const cache = createCache(memoryStore(), "");
		const near = new ValidatedCache<string>(cache, length, { most: 10_000 });
		const ask = (key: string, size = 998) =>
			near.get(service, key, 60_000, async () => read().then(() => "x".repeat(size)));
		for (const key of "0123456789") await ask(key);
		expect([near.bytes, reads]).toEqual([10_000, 10]);
		await ask("0");
		await ask("a");
		expect([near.bytes, reads]).toEqual([10_000, 11]);
		await ask("0");
		expect(reads).toBe(11);
		await ask("1");
		expect(reads).toBe(12);
		// One that takes the place of another counts once.
		await cache.of(service, 1).whileInvalidated([], read);
		await ask("1", 498);
		expect(near.bytes).toBe(9_500);
	});

	test("it is counted how often an answer was there", async () => {
		const metrics = new Metrics();
		const cache = createCache(memoryStore(), "");
		const near = new ValidatedCache(cache, length, { metrics });
		for (let i = 0; i < 3; i++) await near.get(service, "/", 1000, read);
		await cache.of(service, 1000).whileInvalidated([], () => near.get(service, "/", 1000, read));
		const text = await metrics.text();
		for (const [result, count] of Object.entries({ hit: 2, miss: 1, busy: 1 })) {
			expect(text).toContain(
				`shop_near_answers_total{service="${service}",result="${result}"} ${count}\n`,
			);
		}
	});
});

test("where nothing is kept, nothing is kept near it either", async () => {
	const near = new ValidatedCache(createCache(noStore, ""), length);
	for (let i = 1; i < 4; i++) {
		await commit(i)();
		expect(await near.get(service, "/", 60_000, read)).toBe(`price ${i}`);
	}
	expect(near.bytes).toBe(0);
});

describeWith(["redis-server"], "answers near a cache in Redis", () => {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-near-"));
	const stores: CacheStore[] = [];
	let redis: Server;
	const open = () => {
		const store = redisStore(connectRedis(redis.url, quiet), 10_000);
		stores.push(store);
		return store;
	};
	/** When answers are kept again. */
	const works = (near: ValidatedCache<string>) =>
		eventually(async () => {
			await near.get(service, "/probe", 60_000, read);
			const before = reads;
			await near.get(service, "/probe", 60_000, read);
			expect(reads).toBe(before);
		}, 20);

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

	behaviour(() => ({ here: stores[0]!, there: stores[1]! }));

	test("while Redis is away every answer is made, and what was kept before is given to nobody when it is back", async () => {
		const [here, there] = [open(), open()];
		const near = new ValidatedCache(createCache(here, "cache::"), length);
		const ask = () => near.get(service, "/things/1", 60_000, read);
		await works(near);
		await ask();
		await redis.process.kill();
		expect(await ask()).toBe("price 1");
		await createCache(there, "cache::").of(service, 60_000).whileInvalidated([], commit(2));
		expect(await ask()).toBe("price 2");
		await redis.restart();
		await works(near);
		expect(await ask()).toBe("price 2");
	});

	test("while Redis hangs nobody waits for it long, and what it still holds from before a change is not believed", async () => {
		const connection = connectRedis(redis.url, quiet);
		const there = redisStore(connection);
		const here = redisStore(connectRedis(redis.url, quiet));
		stores.push(here, there);
		const [near, other] = [here, there].map(
			(store) => new ValidatedCache(createCache(store, "cache::"), length),
		);
		for (const one of [near!, other!]) await works(one);
		const ask = () => near!.get(service, "/things/1", 60_000, read);
		await ask();
		redis.process.pause();
		expect(await ask()).toBe("price 1");
		await createCache(there, "cache::").of(service, 60_000).whileInvalidated([], commit(2));
		expect(await ask()).toBe("price 2");
		redis.process.resume();
		const seen = new Set<string>();
		await eventually(async () => {
			seen.add(await ask());
			const before = reads;
			seen.add(await ask());
			expect(reads).toBe(before);
		}, 20);
		expect([...seen]).toEqual(["price 2"]);
	});
});
