import { LRUCache } from "lru-cache";

interface LruOptions<V> {
	readonly maxBytes: number;
	/** Estimated bytes of memory of an entry, without its key. */
	sizeOf(value: V): number;
	readonly now?: (() => number) | undefined;
}
/** Default time to live. The cache starts timers only for entries with one. */
const TTL_MS = 60_000;

/**
 * A cache in this process that is bounded in bytes: the least recently used entries are evicted.
 * Expired entries are removed by timers, so that an idle process does not keep them.
 *
 * `LRUCache` takes `now() === 0` for "no time": a clock of a test must start above 0.
 */
export function lru<V extends {}>({
	maxBytes,
	sizeOf,
	now = Date.now,
}: LruOptions<V>): LRUCache<string, V> {
	return new LRUCache<string, V>({
		maxSize: maxBytes,
		sizeCalculation: (value, key) => Math.ceil(sizeOf(value) + 2 * key.length),
		ttl: TTL_MS,
		ttlAutopurge: true,
		// Otherwise the cache starts a timer in each millisecond in which it is read.
		ttlResolution: 0,
		perf: { now: () => now() },
	});
}
