/** What a key holds: a value; or nothing, and is now leased to whoever asked; or is somebody else's to fill or being changed. */
export type KeyState = { readonly value: string } | { readonly lease: string } | "busy";

/**
 * Where cached values are. A value gets in only under a lease that still holds, and a change takes the lease away: what was read before
 * a change never gets in after it.
 */
export interface CacheStore {
	readOrLease(keys: readonly string[]): Promise<KeyState[]>;
	/** Keeps values for `ttl` milliseconds, each where its lease still holds. */
	fill(
		entries: readonly { key: string; lease: string; value: string }[],
		ttl: number,
	): Promise<void>;
	/**
	 * Empties keys, and keeps them empty until all of their holders have released them. A holder that does
	 * not release its keys, because its node died, loses them after HOLD_MS.
	 */
	hold(keys: readonly string[], holder: string): Promise<void>;
	/** Ends one holder's hold. Holds of other holders remain, whichever began first. */
	release(keys: readonly string[], holder: string): Promise<void>;
	/** Rejects when the store does not answer. */
	ping(): Promise<void>;
	close(): Promise<void>;
}

/** A reader that takes longer does not fill what it leased. */
export const LEASE_MS = 5000;
/** As long as a call may take. A node that dies in the middle of a change leaves its hold behind for the rest of it. */
export const HOLD_MS = 10_000;
/** The longest that anything is kept. */
export const MAX_TTL_MS = 60_000;

/** Keeps nothing. */
export const noStore: CacheStore = {
	readOrLease: async (keys) => keys.map(() => "busy"),
	fill: async () => undefined,
	hold: async () => undefined,
	release: async () => undefined,
	ping: async () => undefined,
	close: async () => undefined,
};
