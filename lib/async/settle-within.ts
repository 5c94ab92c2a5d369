/** Time limits of {@link settleWithin}, in milliseconds. */
export interface SettleLimits {
	/** Limit for all promises together. */
	readonly totalMs: number;
	/** Limit for the time since the last promise settled, from the first one on. */
	readonly idleMs: number;
}

/**
 * Waits for promises within two limits, so that one slow response does not delay the others for
 * long. Unlike `Promise.allSettled` with a timeout, it returns the results that are there.
 *
 * @returns the results in the order of the promises, and undefined for each that is still pending.
 * The caller handles a later result of that promise.
 */
export function settleWithin<T>(
	promises: readonly Promise<T>[],
	{ totalMs, idleMs }: SettleLimits,
): Promise<(PromiseSettledResult<T> | undefined)[]> {
	return new Promise((resolve) => {
		const results: (PromiseSettledResult<T> | undefined)[] = promises.map(() => undefined);
		let pending = promises.length;
		let finished = false;
		const finish = () => {
			finished = true;
			clearTimeout(total);
			clearTimeout(idle);
			resolve(results);
		};
		// One turn later, for the same reason as in `withTimeout`.
		const expire = () => setImmediate(finish);
		const total = setTimeout(expire, totalMs);
		let idle: NodeJS.Timeout | undefined;
		const settle = (i: number, result: PromiseSettledResult<T>) => {
			if (finished) return;
			results[i] = result;
			if (--pending === 0) finish();
			else if (idle) idle.refresh();
			else idle = setTimeout(expire, idleMs);
		};
		if (pending === 0) finish();
		promises.forEach((promise, i) => {
			promise.then(
				(value) => settle(i, { status: "fulfilled", value }),
				(reason) => settle(i, { status: "rejected", reason }),
			);
		});
	});
}
