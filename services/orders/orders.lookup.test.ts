import { beforeEach, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { type Cache, createCache, provideCache } from "../../lib/caching/lease-cache.ts";
import { memoryStore } from "../../lib/caching/memory-store.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { createLookup } from "./orders.lookup.ts";

let cache: Cache;
let calls: string[];
let price: number;
let lookup: ReturnType<typeof createLookup>;
beforeEach(() => {
	const broker = {} as ServiceBroker;
	cache = createCache(memoryStore(), "cache::");
	provideCache(broker, cache);
	[calls, price] = [[], 1];
	const call = async (action: string, { ids }: { ids: string[] }) => {
		calls.push(action);
		return ids.map((id) => ({ id, price, is_active: true }));
	};
	lookup = createLookup(broker, call as unknown as Call);
});
/** Changes rows as their service does. */
const change = (service: string) =>
	cache.of(service, 60_000).whileInvalidated([], async () => void price++);

test("users and products are cached until a row of their service changes", async () => {
	const prices = async () =>
		[await lookup.users(["a"]), await lookup.products(["b"])]
			.flat()
			.map((row) => (row as { price?: number }).price);
	expect(await prices()).toEqual([1, 1]);
	expect(await prices()).toEqual([1, 1]);
	expect(calls).toEqual(["users.resolve", "products.resolve"]);
	await change("products");
	expect(await prices()).toEqual([1, 2]);
	await change("users");
	expect(await prices()).toEqual([3, 2]);
	expect(calls).toEqual(["users.resolve", "products.resolve", "products.resolve", "users.resolve"]);
});
