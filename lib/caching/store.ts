/**
 * State of a key: hit, miss with a fill lease, or busy (leased to another reader, or held by a
 * change).
 */
export type KeyState = { readonly value: string } | { readonly lease: string } | "busy";

/**
 * Storage of cached values. A value is stored only under a valid fill lease, and a change revokes
 * the lease: a value read before a change is never stored after it.
 */
export interface CacheStore {
	readOrLease(keys: readonly string[]): Promise<KeyState[]>;
	/** Stores values for `ttl` milliseconds, each if its lease is still valid. */
	fill(
		entries: readonly { key: string; lease: string; value: string }[],
		ttl: number,
	): Promise<void>;
	/**
	 * Deletes keys and prevents filling them until all of their holders have released them. A hold
	 * expires after HOLD_MS, for holders whose node died.
	 */
	hold(keys: readonly string[], holder: string): Promise<void>;
	/** Ends the hold of one holder. Holds of other holders remain, whichever began first. */
	release(keys: readonly string[], holder: string): Promise<void>;
	/** Rejects if the store does not respond. */
	ping(): Promise<void>;
	close(): Promise<void>;
}

/** Milliseconds of a fill lease. A slower reader does not store its value. */
export const LEASE_MS = 5000;
/** Milliseconds of a hold: the time limit of a call. The hold of a dead node lasts until then. */
export const HOLD_MS = 10_000;
/** Maximum time to live in milliseconds. */
export const MAX_TTL_MS = 60_000;

/** Stores nothing. */
export const noStore: CacheStore = {
	readOrLease: async (keys) => keys.map(() => "busy"),
	fill: async () => undefined,
	hold: async () => undefined,
	release: async () => undefined,
	ping: async () => undefined,
	close: async () => undefined,
};
