import { catalogue } from "../observability/metrics/catalogue.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import type { Cache } from "./lease-cache.ts";
import { type LookupCounters, lookupCounters } from "./lookup-metrics.ts";
import { lru } from "./lru.ts";

interface Entry<A> {
	readonly value: A;
	/** Version of the service's rows before the value was made. */
	readonly version: string;
}
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Caches values in this process and validates each read: an entry has the version of its service's
 * rows from before it was made, and is returned only while that version is current. So it is never
 * older than a completed change on any node (docs/adr/0016). The least recently used entries are
 * evicted.
 */
export class ValidatedCache<A> {
	readonly #cache: Cache;
	readonly #lookupsOf: (service: string) => LookupCounters;
	readonly #entries: ReturnType<typeof lru<Entry<A>>>;

	/** @param bytesOf estimates the memory of a value */
	constructor(
		cache: Cache,
		bytesOf: (value: A) => number,
		{
			metrics = new Metrics(),
			maxBytes = MAX_BYTES,
			now,
		}: { metrics?: Metrics; maxBytes?: number; now?: () => number } = {},
	) {
		this.#cache = cache;
		this.#lookupsOf = lookupCounters(metrics, catalogue.validatedLookups);
		this.#entries = lru({ maxBytes, sizeOf: ({ value }) => bytesOf(value), now });
	}

	/**
	 * Returns the cached value, or makes and caches it.
	 * @param key everything that the value depends on, except the rows of `service`
	 * @param ttl milliseconds
	 * @param load nothing is cached if it fails
	 */
	async get(service: string, key: string, ttl: number, load: () => Promise<A>): Promise<A> {
		const [value] = await this.getMany(service, [key], ttl, async () => [await load()]);
		return value as A;
	}

	/**
	 * Returns the values of many keys in order. Requests the missing ones from `load`; null is not
	 * cached.
	 */
	async getMany(
		service: string,
		keys: readonly string[],
		ttl: number,
		load: (missing: string[]) => Promise<readonly (A | null)[]>,
	): Promise<(A | null)[]> {
		const { hit, miss, busy } = this.#lookupsOf(service);
		const version = await this.#cache.version(service);
		if (version === undefined) {
			busy.add(keys.length);
			return [...(await load([...keys]))];
		}
		const values: (A | null | undefined)[] = keys.map((key) => this.#find(key, version));
		const missing = keys.flatMap((key, i) => (values[i] === undefined ? [{ key, i }] : []));
		hit.add(keys.length - missing.length);
		miss.add(missing.length);
		const loaded = missing.length > 0 ? await load(missing.map(({ key }) => key)) : [];
		missing.forEach(({ key, i }, n) => {
			const value = loaded[n] ?? null;
			values[i] = value;
			if (value !== null) this.#entries.set(key, { value, version }, { ttl });
		});
		return values as (A | null)[];
	}

	#find(key: string, version: string): A | undefined {
		const found = this.#entries.get(key);
		return found?.version === version ? found.value : undefined;
	}

	get bytes(): number {
		return this.#entries.calculatedSize;
	}
}
