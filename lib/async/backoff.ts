/** Exponential backoff with jitter, for repeated work that has no queue of its own. */
export interface Backoff {
	/** True until the pause after the last failure has elapsed. */
	waits(now?: number): boolean;
	failed(now?: number): void;
	succeeded(): void;
}

/**
 * Creates a backoff whose pause doubles with each consecutive failure. Jitter shortens a pause by
 * up to half, so that the clients of a failed server do not all return at the same time.
 *
 * @param firstMs pause after the first failure, in milliseconds
 * @param maxMs upper limit of a pause, in milliseconds
 */
export function backoff(
	firstMs: number,
	maxMs: number,
	random: () => number = Math.random,
): Backoff {
	let failures = 0;
	let resumesAt = 0;
	return {
		waits: (now = Date.now()) => now < resumesAt,
		failed(now = Date.now()) {
			const pause = Math.min(maxMs, firstMs * 2 ** Math.min(failures++, 30));
			resumesAt = now + pause * (1 - random() / 2);
		},
		succeeded() {
			failures = 0;
			resumesAt = 0;
		},
	};
}
