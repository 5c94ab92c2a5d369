import { setTimeout as pause } from "node:timers/promises";

/** Tries until `check` stops throwing, and answers what it answers; after `seconds` the last failure counts. */
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
