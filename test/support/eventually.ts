import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds between polls during the first second, and after it. */
const [SHORT, LONG] = [20, 100];
/** Ends a test that hangs. Machines differ, and several tests run at the same time. */
export const LIMIT_MS = 120_000;

/**
 * Polls `check` until it does not throw.
 * @returns the result of `check`
 * @throws the last error of `check` after LIMIT_MS milliseconds
 */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
	const begun = Date.now();
	for (;;) {
		try {
			return await check();
		} catch (error) {
			const elapsed = Date.now() - begun;
			if (elapsed > LIMIT_MS) throw error;
			await pause(elapsed < 1000 ? SHORT : LONG);
		}
	}
}
