import { LRUCache } from "lru-cache";
import { runOutsideCalls } from "../context/call-context.ts";

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
	return new Lru<V>({
		maxSize: maxBytes,
		sizeCalculation: (value, key) => Math.ceil(sizeOf(value) + 2 * key.length),
		ttl: TTL_MS,
		ttlAutopurge: true,
		// Otherwise the cache starts a timer in each millisecond in which it is read.
		ttlResolution: 0,
		perf: { now: () => now() },
	});
}

/**
 * The timer of an entry keeps the asynchronous context in which it starts. That of a call contains
 * its HTTP request, so each entry would keep the request that made it until the entry expires.
 */
class Lru<V extends {}> extends LRUCache<string, V> {
	override set(...values: Parameters<LRUCache<string, V>["set"]>): this {
		return runOutsideCalls(() => super.set(...values));
	}
}
