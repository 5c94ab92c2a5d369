import { createHash, randomUUID } from "node:crypto";
import { microBatch } from "../async/micro-batch.ts";
import { catalogue } from "../observability/metrics/catalogue.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import { isOutage } from "../resilience/outages.ts";
import { lookUpDistinct } from "./distinct-lookup.ts";
import { type LookupCounters, lookupCounters } from "./lookup-metrics.ts";
import { memoryStore } from "./memory-store.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";
import { type CacheStore, type KeyState, MAX_TTL_MS, noStore } from "./store.ts";

/**
 * Cache of one service's rows. Values are JSON, parsed for each read, so no caller can change the
 * value of another.
 */
export interface Cached<Row> {
	/**
	 * Returns rows in the order of `ids`, null if absent. Requests the rows that are not cached from
	 * `load`.
	 */
	readThrough(
		ids: readonly string[],
		load: (missing: string[]) => Promise<readonly (Row | null)[]>,
	): Promise<(Row | null)[]>;
	/**
	 * Returns a result derived only from this service's rows, such as a page of a list. Any change
	 * invalidates it.
	 * @param ttl milliseconds
	 */
	readResult<A>(key: string, ttl: number, load: () => Promise<A>): Promise<A>;
	/**
	 * Changes rows, in a transaction that has committed when `change` fulfills. Afterwards no node
	 * reads an older value; during the change no node stores one.
	 */
	whileInvalidated<R>(ids: readonly string[], change: () => Promise<R>): Promise<R>;
	/**
	 * Discards rows after a committed change of too many rows to invalidate before it. Call it inside
	 * `whileInvalidated`. If the node ends before, older values of these rows are read until they
	 * expire.
	 */
	discard(ids: readonly string[]): Promise<void>;
}
export interface Cache {
	/**
	 * The cache of the service `name`.
	 * @param ttl milliseconds that rows are cached
	 * @param shape of the rows; nodes of another version with another shape ignore each other's rows
	 */
	of<Row>(name: string, ttl: number, shape?: object): Cached<Row>;
	/**
	 * Returns a token that every change of this service's rows replaces: a value made after the token
	 * was read is current while the token stays the same. Undefined during a change, and if caching
	 * is off. Concurrent requests, also of several services, share one lookup that starts after all
	 * of them.
	 */
	version(name: string): Promise<string | undefined>;
	/** Rejects if the store does not respond. */
	ping(): Promise<void>;
	close(): Promise<void>;
}

interface Settings {
	readonly NAMESPACE: string;
	readonly TRANSPORTER?: string;
	readonly CACHER?: string;
}
/**
 * Opens the cache of a process. Cluster nodes without Redis cache nothing, because no node would
 * see the changes of another.
 */
export function openCache(
	{ NAMESPACE, TRANSPORTER, CACHER }: Settings,
	logger: Parameters<typeof connectRedis>[1],
	metrics = new Metrics(),
): Cache {
	const store = CACHER
		? redisStore(connectRedis(CACHER, logger))
		: TRANSPORTER
			? noStore
			: memoryStore();
	return createCache(store, `cache:${NAMESPACE}:`, metrics);
}

/**
 * Maximum length of a stored value, in characters. Reading a larger page back takes about as long
 * as making it, and a few hundred of them would displace everything else.
 */
const MAX_LENGTH = 256 * 1024;

const digest = (text: string) => createHash("sha256").update(text).digest("base64url");
const hasValue = (state: KeyState) => state !== "busy" && "value" in state;
const hasLease = (state: KeyState) => state !== "busy" && "lease" in state;

/**
 * Creates the cache of a node on a store that nodes may share.
 * @param prefix of all keys, which separates shops that share the store
 */
export function createCache(store: CacheStore, prefix: string, metrics = new Metrics()): Cache {
	const lookupsOf = lookupCounters(metrics, catalogue.cacheLookups);
	/**
	 * Read-through: returns hits, loads misses, and stores those whose fill lease this node holds. A
	 * value begins with `versionMark`; values with another mark belong to another version and stay
	 * untouched.
	 */
	async function readThrough<V>(
		keys: readonly string[],
		versionMark: string,
		ttl: number,
		counters: LookupCounters,
		load: (missing: number[]) => Promise<readonly (V | null)[]>,
	): Promise<(V | null)[]> {
		const states = (await store.readOrLease(keys)).map((one) =>
			hasValue(one) && !one.value.startsWith(versionMark) ? "busy" : one,
		);
		for (const one of states)
			(one === "busy" ? counters.busy : "value" in one ? counters.hit : counters.miss).add();
		const values = states.map((one) =>
			hasValue(one) ? (JSON.parse(one.value.slice(versionMark.length)) as V) : null,
		);
		const missing = states.flatMap((one, i) => (hasValue(one) ? [] : [i]));
		if (missing.length === 0) return values;
		const loaded = await load(missing);
		const entries = missing.flatMap((i, n) => {
			const one = states[i]!;
			const value = loaded[n] ?? null;
			values[i] = value;
			if (!hasLease(one) || value === null) return [];
			const text = versionMark + JSON.stringify(value);
			return text.length <= MAX_LENGTH ? [{ key: keys[i]!, lease: one.lease, value: text }] : [];
		});
		await store.fill(entries, ttl);
		return values;
	}

	/** The current version tokens; undefined where none is available. */
	async function currentVersions(generations: string[]): Promise<(string | undefined)[]> {
		const distinct = [...new Set(generations)];
		const states = await store.readOrLease(distinct);
		const created: { key: string; lease: string; value: string }[] = [];
		const tokens = new Map<string, string>();
		for (const [i, key] of distinct.entries()) {
			const state = states[i]!;
			if (state === "busy") continue;
			const value = "value" in state ? state.value : randomUUID();
			tokens.set(key, value);
			if ("lease" in state) created.push({ key, lease: state.lease, value });
		}
		if (created.length > 0) await store.fill(created, MAX_TTL_MS);
		return generations.map((key) => tokens.get(key));
	}
	const currentVersion = async (generation: string) => (await currentVersions([generation]))[0];

	const generationOf = (name: string) => `${prefix}${name}:generation`;
	const versionOf = microBatch(currentVersions);

	return {
		of<Row>(name: string, ttl: number, shape: object = {}): Cached<Row> {
			const row = (id: string) => `${prefix}${name}:row:${id}`;
			const versionMark = digest(JSON.stringify(shape)).slice(0, 8);
			const counters = lookupsOf(name);
			/** Part of the key of each result. */
			const generation = generationOf(name);

			return {
				// Also revokes the fill leases of readers that have read the rows before the commit.
				discard: (ids) => store.release(ids.map(row), randomUUID()),
				async readThrough(ids, load) {
					const found = await lookUpDistinct(ids, (distinct) =>
						readThrough<Row>(distinct.map(row), versionMark, ttl, counters, (missing) =>
							load(missing.map((i) => distinct[i]!)),
						),
					);
					return ids.map((id) => found.get(id) ?? null);
				},
				async readResult(key, ttl, load) {
					const token = await currentVersion(generation);
					if (token === undefined) {
						counters.busy.add();
						return load();
					}
					const cacheKey = `${prefix}${name}:result:${token}:${digest(key)}`;
					const [entry] = await readThrough([cacheKey], "", ttl, counters, async () => [
						{ loaded: await load() },
					]);
					return entry!.loaded;
				},
				async whileInvalidated(ids, change) {
					const keys = [generation, ...ids.map(row)];
					const holder = randomUUID();
					await store.hold(keys, holder);
					try {
						const result = await change();
						await store.release(keys, holder);
						return result;
					} catch (error) {
						// If the response to the commit was lost, the commit may still happen: the hold then
						// expires by itself.
						if (!isOutage(error)) await store.release(keys, holder);
						throw error;
					}
				},
			};
		},
		version: (name) => versionOf(generationOf(name)),
		ping: () => store.ping(),
		close: () => store.close(),
	};
}

const caches = new WeakMap<object, Cache>();
/** Makes a cache available to the services of a broker, see {@link cacheOf}. */
export const provideCache = (broker: object, cache: Cache): void => void caches.set(broker, cache);
/** The cache of a broker; without one, nothing is cached. */
export const cacheOf = (broker: object): Cache => caches.get(broker) ?? createCache(noStore, "");
