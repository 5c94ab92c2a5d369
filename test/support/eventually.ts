import { setTimeout as pause } from "node:timers/promises";

/**
 * Polls `check` until it does not throw.
 * @returns the result of `check`
 * @throws the last error of `check` after `seconds`
 */
export async function eventually<T>(check: () => T | Promise<T>, seconds = 10): Promise<T> {
	const end = Date.now() + seconds * 1000;
	for (;;) {
		try {
			return await check();
		} catch (error) {
			if (Date.now() > end) throw error;
			await pause(20);
		}
	}
}
