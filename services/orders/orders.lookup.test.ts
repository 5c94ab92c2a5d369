import { beforeEach, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { type Cache, createCache, provideCache } from "../../lib/caching/lease-cache.ts";
import { memoryStore } from "../../lib/caching/memory-store.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { createLookup } from "./orders.lookup.ts";

let cache: Cache;
let asked: string[];
let price: number;
let known: ReturnType<typeof createLookup>;
beforeEach(() => {
	const broker = {} as ServiceBroker;
	cache = createCache(memoryStore(), "cache::");
	provideCache(broker, cache);
	[asked, price] = [[], 1];
	const call = async (action: string, { ids }: { ids: string[] }) => {
		asked.push(action);
		return ids.map((id) => ({ id, price, is_active: true }));
	};
	known = createLookup(broker, call as unknown as Call);
});
/** As the service itself changes its rows. */
const change = (service: string) =>
	cache.of(service, 60_000).whileInvalidated([], async () => void price++);

test("a buyer or product that is known is not asked for again until its own service has changed something", async () => {
	const look = async () =>
		[await known.users(["a"]), await known.products(["b"])]
			.flat()
			.map((row) => (row as { price?: number }).price);
	expect(await look()).toEqual([1, 1]);
	expect(await look()).toEqual([1, 1]);
	expect(asked).toEqual(["users.resolve", "products.resolve"]);
	await change("products");
	expect(await look()).toEqual([1, 2]);
	await change("users");
	expect(await look()).toEqual([3, 2]);
	expect(asked).toEqual(["users.resolve", "products.resolve", "products.resolve", "users.resolve"]);
});
