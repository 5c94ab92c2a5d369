import { randomUUID } from "node:crypto";
import { lru } from "./lru.ts";
import { type CacheStore, HOLD_MS, LEASE_MS } from "./store.ts";

interface Entry {
	readonly kind: "value" | "lease";
	readonly text: string;
}
/** Bytes of the objects around the text of an entry. */
const ENTRY_BYTES = 200;
const MAX_BYTES = 64 * 1024 * 1024;

/** Stores values in this process, for a single-process shop. */
export function memoryStore({
	now = Date.now,
	maxBytes = MAX_BYTES,
}: {
	now?: () => number;
	maxBytes?: number;
} = {}): CacheStore {
	const entries = lru<Entry>({
		maxBytes,
		sizeOf: ({ text }) => 2 * text.length + ENTRY_BYTES,
		now,
	});
	/** Expiry of each holder, by key. Apart from the entries, because a hold must not be evicted. */
	const holds = new Map<string, Map<string, number>>();

	function isHeld(key: string): boolean {
		const holders = holds.get(key);
		if (!holders) return false;
		for (const [holder, until] of holders) if (until <= now()) holders.delete(holder);
		if (holders.size === 0) holds.delete(key);
		return holders.size > 0;
	}
	/** Removes expired holds. The map is ordered by the latest hold of each key. */
	function sweep(): void {
		for (const key of holds.keys()) if (isHeld(key)) return;
	}

	return {
		async readOrLease(keys) {
			return keys.map((key) => {
				if (isHeld(key)) return "busy";
				const found = entries.get(key);
				if (found) return found.kind === "value" ? { value: found.text } : "busy";
				const lease = randomUUID();
				entries.set(key, { kind: "lease", text: lease }, { ttl: LEASE_MS });
				return { lease };
			});
		},
		async fill(filled, ttl) {
			for (const { key, lease, value } of filled) {
				const found = entries.get(key);
				if (found?.kind === "lease" && found.text === lease)
					entries.set(key, { kind: "value", text: value }, { ttl });
			}
		},
		async hold(keys, holder) {
			sweep();
			for (const key of keys) {
				entries.delete(key);
				const holders = holds.get(key) ?? new Map<string, number>();
				holders.set(holder, now() + HOLD_MS);
				holds.delete(key);
				holds.set(key, holders);
			}
		},
		async release(keys, holder) {
			for (const key of keys) {
				// After an expired hold, a reader may have stored a value from before the change.
				entries.delete(key);
				holds.get(key)?.delete(holder);
				isHeld(key);
			}
		},
		ping: async () => undefined,
		async close() {
			entries.clear();
			holds.clear();
		},
	};
}
