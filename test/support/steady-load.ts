import { expect } from "@jest/globals";

/**
 * Keeps `clients` requests in flight until `total` have finished, then waits for the rest.
 * @returns the wait of each request, measured in requests that finished in the meantime, which does
 * not depend on the speed of the machine
 */
export async function steadyLoad(
	clients: number,
	total: number,
	request: () => Promise<unknown>,
): Promise<number[]> {
	const waits: number[] = [];
	const client = async (): Promise<void> => {
		while (waits.length < total) {
			const before = waits.length;
			await request();
			waits.push(waits.length - before);
		}
	};
	await Promise.all(Array.from({ length: clients }, client));
	return waits;
}

/**
 * Asserts that no request was starved. A starved request waits until the load ends; a fair one
 * waits for about as many others as there are clients. The margin covers short suspensions of a
 * thread by the operating system.
 * @param options.threads that execute requests. The operating system may suspend a thread, with
 *   the request that it executes, while the others complete the load. So as many of the longest
 *   waits do not count. An unfair queue starves more requests than that.
 */
export function expectFair(waits: readonly number[], { threads = 0 } = {}): void {
	const sorted = waits.toSorted((a, b) => a - b).slice(0, waits.length - threads);
	const median = sorted[sorted.length >> 1]!;
	const longest = sorted.at(-1)!;
	const limit = Math.max(10 * median, waits.length / 3);
	expect({ median, longest, fair: longest <= limit }).toEqual({ median, longest, fair: true });
}
