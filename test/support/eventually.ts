import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds between polls during the first second, and after it. */
const [SHORT, LONG] = [20, 100];

/**
 * Polls `check` until it does not throw.
 * @returns the result of `check`
 * @throws the last error of `check` after `seconds`
 */
export async function eventually<T>(check: () => T | Promise<T>, seconds = 10): Promise<T> {
	const begun = Date.now();
	for (;;) {
		try {
			return await check();
		} catch (error) {
			const elapsed = Date.now() - begun;
			if (elapsed > seconds * 1000) throw error;
			await pause(elapsed < 1000 ? SHORT : LONG);
		}
	}
}
