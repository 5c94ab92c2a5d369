import { randomUUID } from "node:crypto";
import { type CacheStore, HOLD_MS, LEASE_MS } from "./store.ts";

interface Entry {
	readonly kind: "value" | "lease" | "hold";
	readonly text: string;
	readonly until: number;
}
const MOST = 10_000;

/** Keeps values in this process, for a shop that has no other. The oldest give way to new ones. */
export function memoryStore(now: () => number = Date.now): CacheStore {
	const entries = new Map<string, Entry>();

	function look(key: string): Entry | undefined {
		const found = entries.get(key);
		if (!found || found.until > now()) return found;
		entries.delete(key);
		return undefined;
	}
	function put(key: string, kind: Entry["kind"], text: string, ms: number): void {
		entries.delete(key);
		entries.set(key, { kind, text, until: now() + ms });
		if (entries.size > MOST) entries.delete(entries.keys().next().value!);
	}

	return {
		async take(keys) {
			return keys.map((key) => {
				const found = look(key);
				if (found) return found.kind === "value" ? { value: found.text } : "busy";
				const lease = randomUUID();
				put(key, "lease", lease, LEASE_MS);
				return { lease };
			});
		},
		async fill(filled, ttl) {
			for (const { key, lease, value } of filled) {
				const found = look(key);
				if (found?.kind === "lease" && found.text === lease) put(key, "value", value, ttl);
			}
		},
		async hold(keys, holder) {
			for (const key of keys) put(key, "hold", holder, HOLD_MS);
		},
		async release(keys, holder) {
			for (const key of keys) {
				const found = look(key);
				if (found?.kind !== "hold" || found.text === holder) entries.delete(key);
			}
		},
		ping: async () => undefined,
		close: async () => entries.clear(),
	};
}
