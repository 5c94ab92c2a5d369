/** Exponential backoff with jitter, for repeated work that has no queue of its own. */
export interface Backoff {
	/** True while the pause after the last failure has not elapsed. */
	waits(now?: number): boolean;
	failed(now?: number): void;
	succeeded(): void;
}

/**
 * The pause doubles with each failure in a row. Jitter takes up to half of it away, so that clients of
 * a failed server do not all return at the same time.
 * @param first milliseconds after the first failure
 * @param longest milliseconds, the upper limit of a pause
 */
export function backoff(
	first: number,
	longest: number,
	random: () => number = Math.random,
): Backoff {
	let failures = 0;
	let resumesAt = 0;
	return {
		waits: (now = Date.now()) => now < resumesAt,
		failed(now = Date.now()) {
			const pause = Math.min(longest, first * 2 ** Math.min(failures++, 30));
			resumesAt = now + pause * (1 - random() / 2);
		},
		succeeded() {
			failures = 0;
			resumesAt = 0;
		},
	};
}
