import { createHash, randomUUID } from "node:crypto";
import { microBatch } from "../async/micro-batch.ts";
import { catalogue } from "../observability/metrics/catalogue.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import { isOutage } from "../resilience/outages.ts";
import { type LookupCounters, lookupCounters } from "./lookup-metrics.ts";
import { memoryStore } from "./memory-store.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";
import { type CacheStore, type KeyState, MAX_TTL_MS, noStore } from "./store.ts";

/** What one service keeps of its own rows. All of it is plain JSON, parsed anew each time: nobody can change what others get. */
export interface Cached<Row> {
	/** Rows by their ids, in that order, null where there is none; `load` is asked for those that are not kept. */
	readThrough(
		ids: readonly string[],
		load: (missing: string[]) => Promise<readonly (Row | null)[]>,
	): Promise<(Row | null)[]>;
	/** An answer that was made from this service's rows and nothing else, a page of a list for instance; any change makes it void. */
	readResult<A>(key: string, ttl: number, make: () => Promise<A>): Promise<A>;
	/**
	 * Makes a change to these rows, in a transaction that has committed when `change` fulfils. From then on nobody on any node gets what was before it;
	 * while it is under way nobody keeps anything.
	 */
	whileInvalidated<R>(ids: readonly string[], change: () => Promise<R>): Promise<R>;
}
export interface Cache {
	/**
	 * The cache of the service `name`.
	 * @param ttl milliseconds that its rows are kept
	 * @param shape of its rows; nodes of another version, whose rows have another shape, leave them alone
	 */
	of<Row>(name: string, ttl: number, shape?: object): Cached<Row>;
	/**
	 * A token that every change of this service's rows replaces: whatever was made from them after it was read is up to date while a later reading
	 * answers the same. Undefined while a change is under way, and where nothing is kept. Those who ask at the same time share one question, which had not
	 * been sent when they asked.
	 */
	version(name: string): Promise<string | undefined>;
	/** Rejects when the store does not answer. */
	ping(): Promise<void>;
	close(): Promise<void>;
}

interface Settings {
	readonly NAMESPACE: string;
	readonly TRANSPORTER?: string;
	readonly CACHER?: string;
}
/** Nodes of a cluster without Redis keep nothing: what one of them changes the others could not know. */
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
 * Characters of the longest value that is stored. Larger pages are loaded each time: reading one back takes
 * about as long as making it, and a few hundred of them would displace everything else.
 */
const MAX_LENGTH = 256 * 1024;

const digest = (text: string) => createHash("sha256").update(text).digest("base64url");
const hasValue = (taken: KeyState) => taken !== "busy" && "value" in taken;
const hasLease = (taken: KeyState) => taken !== "busy" && "lease" in taken;

export function createCache(store: CacheStore, prefix: string, metrics = new Metrics()): Cache {
	const lookupsOf = lookupCounters(metrics, catalogue.cacheLookups);
	/** What is kept, by key; what is not is made, and kept where it may be. A value begins with `mark`; what begins with another is not ours to touch. */
	async function keep<V>(
		keys: readonly string[],
		mark: string,
		ttl: number,
		counted: LookupCounters,
		make: (missing: number[]) => Promise<readonly (V | null)[]>,
	): Promise<(V | null)[]> {
		const taken = (await store.readOrLease(keys)).map((one) =>
			hasValue(one) && !one.value.startsWith(mark) ? "busy" : one,
		);
		for (const one of taken)
			(one === "busy" ? counted.busy : "value" in one ? counted.hit : counted.miss).add();
		const values = taken.map((one) =>
			hasValue(one) ? (JSON.parse(one.value.slice(mark.length)) as V) : null,
		);
		const missing = taken.flatMap((one, i) => (hasValue(one) ? [] : [i]));
		if (missing.length === 0) return values;
		const made = await make(missing);
		const filled = missing.flatMap((i, n) => {
			const one = taken[i]!;
			const value = made[n] ?? null;
			values[i] = value;
			if (!hasLease(one) || value === null) return [];
			const text = mark + JSON.stringify(value);
			return text.length <= MAX_LENGTH ? [{ key: keys[i]!, lease: one.lease, value: text }] : [];
		});
		await store.fill(filled, ttl);
		return values;
	}

	/** A token that every change replaces; undefined while there is none to be had. */
	async function current(generation: string): Promise<string | undefined> {
		const [taken] = await store.readOrLease([generation]);
		if (hasValue(taken!)) return taken.value;
		if (!hasLease(taken!)) return undefined;
		const token = randomUUID();
		await store.fill([{ key: generation, lease: taken.lease, value: token }], MAX_TTL_MS);
		return token;
	}

	const generationOf = (name: string) => `${prefix}${name}:generation`;
	const versions = new Map<string, (asked: undefined) => Promise<string | undefined>>();
	function versionOf(name: string) {
		const found =
			versions.get(name) ??
			microBatch<undefined, string | undefined>(async (asked) =>
				Array(asked.length).fill(await current(generationOf(name))),
			);
		versions.set(name, found);
		return found;
	}

	return {
		of<Row>(name: string, ttl: number, shape: object = {}): Cached<Row> {
			const row = (id: string) => `${prefix}${name}:row:${id}`;
			const mark = digest(JSON.stringify(shape)).slice(0, 8);
			const counted = lookupsOf(name);
			/** Part of each answer's key. */
			const generation = generationOf(name);

			return {
				async readThrough(ids, load) {
					const distinct = [...new Set(ids)];
					const values = await keep<Row>(distinct.map(row), mark, ttl, counted, (missing) =>
						load(missing.map((i) => distinct[i]!)),
					);
					const found = new Map(distinct.map((id, i) => [id, values[i] ?? null]));
					return ids.map((id) => found.get(id) ?? null);
				},
				async readResult(key, ttl, make) {
					const token = await current(generation);
					if (token === undefined) {
						counted.busy.add();
						return make();
					}
					const kept = `${prefix}${name}:answer:${token}:${digest(key)}`;
					const [answer] = await keep([kept], "", ttl, counted, async () => [
						{ made: await make() },
					]);
					return answer!.made;
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
						// Where the answer of the commit was lost, it may still be under way: the hold then runs out by itself.
						if (!isOutage(error)) await store.release(keys, holder);
						throw error;
					}
				},
			};
		},
		version: (name) => versionOf(name)(undefined),
		ping: () => store.ping(),
		close: () => store.close(),
	};
}

const caches = new WeakMap<object, Cache>();
export const provideCache = (broker: object, cache: Cache): void => void caches.set(broker, cache);
/** The cache of a broker; one that was given none keeps nothing. */
export const cacheOf = (broker: object): Cache => caches.get(broker) ?? createCache(noStore, "");
