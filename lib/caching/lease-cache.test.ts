import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, type Server, startRedis } from "../../test/support/servers.ts";
import { type Cache, type Cached, createCache, openCache } from "./lease-cache.ts";
import { memoryStore } from "./memory-store.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";
import { overlappingChanges } from "./test/overlapping-changes.ts";

interface Row {
	id: string;
	price: number;
}
/** The database: committed rows, and the IDs of each load. */
let rows: Map<string, Row>;
let loads: string[][];
const load = async (ids: string[]) => {
	loads.push(ids);
	return ids.map((id) => (rows.has(id) ? { ...rows.get(id)! } : null));
};
const commit = async (id: string, price: number) => void rows.set(id, { id, price });
/** A load that has read the database and returns when `finish` is called. */
function slowLoad() {
	const { promise, resolve } = Promise.withResolvers<void>();
	const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
	return {
		begun,
		finish: resolve,
		load: async (ids: string[]) => {
			const read = await load(ids);
			begin();
			await promise;
			return read;
		},
	};
}
let names = 0;
const quiet = { warn: () => undefined, info: () => undefined };

beforeEach(() => {
	rows = new Map(["a", "b", "c"].map((id) => [id, { id, price: 1 }]));
	loads = [];
});

/** Tests of a cache that two nodes use, for any store. */
function behavior(open: () => { one: Cache; other: Cache }): void {
	let one: Cached<Row>;
	let other: Cached<Row>;
	beforeEach(() => {
		const name = `things${names++}`;
		const caches = open();
		one = caches.one.of(name, 60_000);
		other = caches.other.of(name, 60_000);
	});
	const price = async (cached: Cached<Row>, id = "a") =>
		(await cached.readThrough([id], load))[0]?.price;

	test("returns rows in request order, also twice, and loads them once for all nodes", async () => {
		const wanted = ["b", "missing", "a", "b"];
		const expected = [{ id: "b", price: 1 }, null, { id: "a", price: 1 }, { id: "b", price: 1 }];
		expect(await one.readThrough(wanted, load)).toEqual(expected);
		expect(await other.readThrough(["c", ...wanted], load)).toEqual([
			{ id: "c", price: 1 },
			...expected,
		]);
		expect(loads).toEqual([
			["b", "missing", "a"],
			["c", "missing"],
		]);
		expect(await one.readThrough([], load)).toEqual([]);
	});

	test("more rows than one script call reads are cached", async () => {
		const ids = Array.from({ length: 1203 }, (_, i) => `id${i}`);
		for (const id of ids) await commit(id, 2);
		await one.readThrough(ids, load);
		expect((await other.readThrough(ids, load)).map((row) => row?.id)).toEqual(ids);
		expect(loads).toHaveLength(1);
	});

	test("changing a returned row does not affect other readers", async () => {
		for (let i = 0; i < 2; i++) (await one.readThrough(["a"], load))[0]!.price = 99;
		expect(await price(other)).toBe(1);
	});

	test("every node sees a change when it is done", async () => {
		await price(one);
		await other.whileInvalidated(["a"], () => commit("a", 2));
		expect(await price(one)).toBe(2);
		await one.whileInvalidated(["a"], async () => void rows.delete("a"));
		expect(await other.readThrough(["a"], load)).toEqual([null]);
	});

	test("a load from before a change that ends after it is not cached", async () => {
		const slow = slowLoad();
		const reading = one.readThrough(["a"], slow.load);
		await slow.begun;
		await other.whileInvalidated(["a"], () => commit("a", 2));
		slow.finish();
		expect(await reading).toEqual([{ id: "a", price: 1 }]);
		expect(await price(one)).toBe(2);
		expect(await price(other)).toBe(2);
	});

	test("discarded rows are loaded again, and a load from before is not cached", async () => {
		await one.readThrough(["a", "b"], load);
		const slow = slowLoad();
		const late = other.readThrough(["c"], slow.load);
		await slow.begun;
		await one.whileInvalidated([], async () => {
			for (const id of ["a", "c"]) await commit(id, 2);
			await one.discard(["a", "c", "unknown"]);
		});
		slow.finish();
		await late;
		expect(await Promise.all(["a", "b", "c"].map((id) => price(other, id)))).toEqual([2, 1, 2]);
		loads = [];
		expect(await price(one)).toBe(2);
		expect(loads).toEqual([]);
	});

	test("a late load does not replace the new row that another node cached", async () => {
		const slow = slowLoad();
		const reading = one.readThrough(["a"], slow.load);
		await slow.begun;
		await other.whileInvalidated(["a"], () => commit("a", 2));
		expect(await price(other)).toBe(2);
		slow.finish();
		await reading;
		expect(await price(one)).toBe(2);
	});

	test("caches nothing during a change, so a node that dies leaves no stale value", async () => {
		const { promise: committed, resolve: die } = Promise.withResolvers<void>();
		let before: number | undefined;
		void one.whileInvalidated(["a"], async () => {
			before = await price(other);
			await commit("a", 2);
			die();
			return new Promise(() => undefined);
		});
		await committed;
		expect(before).toBe(1);
		expect(await price(other)).toBe(2);
	});

	test("a change that begins and ends first does not release the row of another", async () => {
		const { promise: firstDone, resolve: finishFirst } = Promise.withResolvers<void>();
		const { promise: firstBegun, resolve: beginFirst } = Promise.withResolvers<void>();
		const first = one.whileInvalidated(["a"], () => {
			beginFirst();
			return firstDone;
		});
		await firstBegun;
		await other.whileInvalidated(["a"], async () => {
			finishFirst();
			await first;
			await price(one);
			await price(one);
			await commit("a", 3);
		});
		expect(loads).toHaveLength(2);
		expect(await price(one)).toBe(3);
	});

	test("a row stays held when an overlapping change ends first", async () => {
		const gate = Promise.withResolvers<void>();
		const begun = Promise.withResolvers<void>();
		const sum = (cached: Cached<Row>) =>
			cached.readResult("sum", 60_000, async () => rows.get("a")!.price);
		const first = one.whileInvalidated(["a"], async () => {
			begun.resolve();
			await gate.promise;
			await commit("a", 2);
			// The response to the commit is lost, so nothing is released.
			throw Object.assign(new Error("Connection terminated"), { code: "ECONNRESET" });
		});
		await begun.promise;
		await other.whileInvalidated(["a"], () => commit("a", 5));
		expect([await price(one), await price(other), await sum(one)]).toEqual([5, 5, 5]);
		gate.resolve();
		await expect(first).rejects.toThrow("terminated");
		expect([await price(one), await price(other), await sum(one)]).toEqual([2, 2, 2]);
	});

	test("a row is cached again when the last of several overlapping changes has ended", async () => {
		const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
		const changes = gates.map(({ promise }, i) =>
			(i % 2 ? other : one).whileInvalidated(["a"], () => promise),
		);
		for (const i of [1, 0]) {
			gates[i]!.resolve();
			await changes[i];
		}
		for (let i = 0; i < 2; i++) await price(one);
		expect(loads).toHaveLength(2);
		gates[2]!.resolve();
		await changes[2];
		for (let i = 0; i < 2; i++) await price(one);
		expect(loads).toHaveLength(3);
	});

	test("no read is older than a completed change, despite overlaps and dead nodes", async () => {
		const caches = open();
		const stale: string[] = [];
		for (let seed = 0; seed < 80; seed++)
			stale.push(...(await overlappingChanges(seed, caches, `things${names++}`)));
		expect(stale).toEqual([]);
	});

	test("a rejected change releases its row; one that may still commit does not", async () => {
		const refuse = (error: object) =>
			one.whileInvalidated(["a"], () => Promise.reject(error)).catch(() => undefined);
		await refuse(new Error("SKU_TAKEN"));
		await price(one);
		await price(one);
		expect(loads).toHaveLength(1);
		await refuse(Object.assign(new Error("Connection terminated"), { code: "ECONNRESET" }));
		await price(other);
		await price(other);
		expect(loads).toHaveLength(3);
	});

	test("nodes of two versions ignore each other's rows and see each other's changes", async () => {
		const name = `things${names++}`;
		const { one: old, other: current } = open();
		const before = old.of<Row>(name, 60_000, { price: { type: "number" } });
		const after = current.of<Row>(name, 60_000, {
			price: { type: "number" },
			currency: { type: "string" },
		});
		await price(before);
		loads = [];
		for (const cached of [after, before, after]) expect(await price(cached)).toBe(1);
		expect(loads).toHaveLength(2);
		await after.whileInvalidated(["a"], () => commit("a", 2));
		for (const cached of [before, after, before]) expect(await price(cached)).toBe(2);
	});

	test("a result is made once for all nodes, and again after any change", async () => {
		const total = async (cached: Cached<Row>) =>
			cached.readResult("sum", 60_000, async () =>
				[...rows.values()].reduce((sum, { price }) => sum + price, 0),
			);
		expect(await total(one)).toBe(3);
		await commit("a", 5);
		expect(await total(other)).toBe(3);
		await one.whileInvalidated([], () => commit("b", 5));
		expect(await total(other)).toBe(11);
		expect(await other.readResult("something else", 60_000, async () => null)).toBe(null);
	});

	test("a result begun before a change is not cached", async () => {
		const slow = slowLoad();
		const reading = one.readResult("list", 60_000, () => slow.load(["a"]));
		await slow.begun;
		await other.whileInvalidated(["a"], () => commit("a", 2));
		slow.finish();
		await reading;
		expect(await one.readResult("list", 60_000, () => load(["a"]))).toEqual([
			{ id: "a", price: 2 },
		]);
	});
}

describe("a cache in memory", () => {
	behavior(() => {
		const cache = createCache(memoryStore(), "");
		return { one: cache, other: cache };
	});
});

test("cluster nodes without Redis cache nothing", async () => {
	const cached = openCache({ NAMESPACE: "", TRANSPORTER: "nats://127.0.0.1" }, quiet).of<Row>(
		"things",
		60_000,
	);
	await cached.readThrough(["a"], load);
	await cached.whileInvalidated(["a"], () => commit("a", 2));
	expect(await cached.readThrough(["a"], load)).toEqual([{ id: "a", price: 2 }]);
	expect(await cached.readResult("list", 60_000, async () => 1)).toBe(1);
	expect(await cached.readResult("list", 60_000, async () => 2)).toBe(2);
});

describeWith(["redis-server"], "a cache in Redis", () => {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-cache-"));
	let redis: Server;
	let one: Cache;
	let other: Cache;
	let connection: ReturnType<typeof connectRedis> | undefined;
	const open = () => openCache({ NAMESPACE: "", CACHER: redis.url }, quiet);
	/** On a busy machine, a command takes longer than the limit of the other caches. */
	const openTolerant = (logger: Parameters<typeof connectRedis>[1] = quiet) =>
		createCache(redisStore(connectRedis(redis.url, logger), 10_000), "cache::");

	/** Waits until both caches store and read values. */
	const works = (first = one, second = other) =>
		eventually(async () => {
			const [here, there] = [first, second].map((cache) => cache.of<Row>(`probe${names}`, 60_000));
			names++;
			await here!.readThrough(["a"], load);
			await there!.readThrough(["b"], load);
			loads = [];
			await here!.readThrough(["b"], load);
			await there!.readThrough(["a"], load);
			expect(loads).toEqual([]);
		});

	beforeAll(async () => {
		redis = await startRedis(folder);
		[one, other] = [open(), open()];
		await works();
	});
	afterAll(async () => {
		connection?.disconnect();
		await Promise.all([one?.close(), other?.close()]);
		await redis?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	describe("without a short timeout", () => {
		const tolerant: Cache[] = [];
		beforeAll(async () => {
			for (let i = 0; i < 2; i++) tolerant.push(openTolerant());
			await works(...tolerant);
		});
		afterAll(() => Promise.all(tolerant.map((cache) => cache.close())));
		behavior(() => ({ one: tolerant[0]!, other: tolerant[1]! }));
	});

	test("without Redis, loads rows, accepts changes and logs the outage once", async () => {
		const logged: string[] = [];
		const log = (line: string) => void logged.push(line);
		const [here, there] = [1, 2].map(() => openTolerant({ warn: log, info: log })) as [
			Cache,
			Cache,
		];
		await works(here, there);
		const cached = here.of<Row>("outage", 60_000);
		await cached.readThrough(["a"], load);
		await redis.process.kill();
		expect(await cached.readThrough(["a"], load)).toEqual([{ id: "a", price: 1 }]);
		await cached.whileInvalidated(["a"], () => commit("a", 2));
		expect(await there.of<Row>("outage", 60_000).readThrough(["a"], load)).toEqual([
			{ id: "a", price: 2 },
		]);
		await expect(here.ping()).rejects.toThrow();
		await redis.restart();
		await works(here, there);
		expect(await cached.readThrough(["a"], load)).toEqual([{ id: "a", price: 2 }]);
		await here.ping();
		await Promise.all([here.close(), there.close()]);
		expect(logged.sort()).toEqual([
			...Array(2).fill("Redis is available again"),
			...Array(2).fill("Redis is unavailable; continuing without a cache"),
		]);
	});

	test("a change that a hanging Redis missed is announced before the next read", async () => {
		connection = connectRedis(redis.url, quiet);
		const cache = createCache(redisStore(connection), "cache::");
		await works(cache);
		const late = cache.of<Row>("hanging", 60_000);
		const reader = other.of<Row>("hanging", 60_000);
		await eventually(async () => {
			loads = [];
			await reader.readThrough(["a", "b"], load);
			expect(loads).toEqual([]);
		});
		// Reconnects when the test calls `connect`.
		connection.options.retryStrategy = () => null;
		redis.process.pause();
		// The first command times out; later ones are not sent.
		await late.readThrough(["a"], load);
		await late.whileInvalidated(["a"], () => commit("a", 2));
		expect(await reader.readThrough(["a"], load)).toEqual([{ id: "a", price: 2 }]);
		// The time that a reconnected node waits for the announcements of others does not elapse.
		const clock = jest.spyOn(Date, "now").mockReturnValue(Date.now());
		try {
			redis.process.resume();
			await eventually(() => other.ping());
			expect(await reader.readThrough(["a"], load)).toEqual([{ id: "a", price: 2 }]);
			await connection.connect();
			await eventually(async () =>
				expect(await connection!.exists("cache::hanging:row:a")).toBe(0),
			);
		} finally {
			clock.mockRestore();
		}
		const seen = new Set<number | undefined>();
		await eventually(async () => {
			seen.add((await reader.readThrough(["a"], load))[0]?.price);
			loads = [];
			await reader.readThrough(["b"], load);
			// It reads again, and finds the earlier value: Redis has lost nothing.
			expect(loads).toEqual([]);
		});
		seen.add((await reader.readThrough(["a"], load))[0]?.price);
		expect([...seen]).toEqual([2]);
	});
});
