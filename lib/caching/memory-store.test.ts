import { describe, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { createCache } from "./lease-cache.ts";
import { lru } from "./lru.ts";
import { memoryStore } from "./memory-store.ts";
import { HOLD_MS, LEASE_MS } from "./store.ts";

describe("the in-memory store", () => {
	test("removes rows, leases and holds after their time to live", async () => {
		let now = 1;
		let loads: string[][] = [];
		const load = async (ids: string[]) => {
			loads.push(ids);
			return ids.map((id) => ({ id }));
		};
		const cached = createCache(memoryStore({ now: () => now }), "").of<object>("things", 1000);
		const look = () => cached.readThrough(["a"], load);
		await look();
		now += 1001;
		await look();
		expect(loads).toHaveLength(2);
		now += 1001;
		void cached.readThrough(["a"], () => new Promise(() => undefined));
		void cached.whileInvalidated(["b"], () => new Promise(() => undefined));
		now += Math.max(LEASE_MS, HOLD_MS) + 1;
		loads = [];
		for (let i = 0; i < 2; i++) await cached.readThrough(["a", "b"], load);
		expect(loads).toEqual([["a", "b"]]);
	});

	const small = { maxBytes: 1_000_000 };
	test("is bounded in bytes, whatever the number of entries", async () => {
		const cached = createCache(memoryStore(small), "").of<object>("things", 60_000);
		const page = "x".repeat(100_000);
		const pages = async () => {
			let made = 0;
			for (let i = 0; i < 20; i++)
				await cached.readResult(`page ${i}`, 60_000, async () => `${page}${made++}`);
			return made;
		};
		// Each takes 200 kB: by the time the last one is stored, the first one has been evicted.
		expect([await pages(), await pages()]).toEqual([20, 20]);
		let loads = 0;
		const load = async (ids: string[]) => {
			loads++;
			return ids.map((id) => ({ id }));
		};
		for (let i = 0; i < 2; i++) await cached.readThrough(["a"], load);
		expect(loads).toBe(1);
	});

	test("does not store a page that would displace many entries", async () => {
		const cached = createCache(memoryStore(), "").of<object>("things", 60_000);
		let made = 0;
		const page = (length: number) =>
			cached.readResult(`${length}`, 60_000, async () => `${made++}`.padEnd(length));
		for (const length of [200_000, 200_000, 300_000, 300_000]) await page(length);
		expect(made).toBe(3);
	});

	test("does not evict a hold, however much is stored meanwhile", async () => {
		const store = memoryStore(small);
		await store.hold(["held"], "holder");
		for (let i = 0; i < 20; i++) {
			const [taken] = await store.readOrLease([`key ${i}`]);
			await store.fill(
				[{ key: `key ${i}`, value: "x".repeat(100_000), ...(taken as { lease: string }) }],
				60_000,
			);
		}
		expect(await store.readOrLease(["held"])).toEqual(["busy"]);
		await store.release(["held"], "holder");
		expect(await store.readOrLease(["held"])).toEqual([{ lease: expect.any(String) }]);
	});

	test("removes expired entries that are not read again", async () => {
		const entries = lru<string>({ maxBytes: 1_000_000, sizeOf: ({ length }) => length });
		// Timers count from the start of the event-loop iteration, so a late one could fire early.
		await new Promise((resolve) => setImmediate(resolve));
		entries.set("brief", "x", { ttl: 20 });
		entries.set("long", "x", { ttl: 60_000 });
		await eventually(() => expect(entries.size).toBe(1));
		expect(entries.get("long")).toBe("x");
	});
});
