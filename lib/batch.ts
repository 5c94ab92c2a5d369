import { outsideCalls } from "./log/current.ts";
import { isOutage } from "./outage.ts";

export interface BatchOptions {
	/** The most elements that one run takes. */
	readonly max?: number;
	/** How many runs may be under way at once; one unless given. */
	readonly lanes?: number;
}

interface Waiting<T, R> {
	readonly value: T;
	resolve(result: R): void;
	reject(error: unknown): void;
}

/**
 * Gathers what arrives while the last run is under way and hands it to `step` in one piece: no timer, no wait when idle.
 * `step` answers per element, in the order given. An element that fails by itself answers `reject(error)`. When a run fails as a whole, and
 * not because nobody was there to do it, it is cut in halves and run again, so that one bad element never fails its neighbours; `step` must
 * therefore be idempotent or all-or-nothing.
 */
export function batch<T, R>(step: (values: T[]) => Promise<readonly (R | Rejection)[]>, { max = 500, lanes = 1 }: BatchOptions = {}) {
	let waiting: Waiting<T, R>[] = [];
	let running = 0;
	let scheduled = false;

	async function settle(part: Waiting<T, R>[]): Promise<void> {
		try {
			const results = await step(part.map(({ value }) => value));
			if (results.length !== part.length) throw new Error(`A batch of ${part.length} was answered with ${results.length} results`);
			part.forEach(({ resolve, reject }, i) => {
				const result = results[i]!;
				if (result instanceof Rejection) reject(result.error);
				else resolve(result as R);
			});
		} catch (error) {
			if (part.length === 1 || isOutage(error)) {
				for (const { reject } of part) reject(error);
				return;
			}
			const half = part.length >> 1;
			await settle(part.slice(0, half));
			await settle(part.slice(half));
		}
	}

	function pump(): void {
		scheduled = false;
		while (running < lanes && waiting.length > 0) {
			const part = waiting.slice(0, max);
			waiting = waiting.slice(max);
			running++;
			settle(part).finally(() => {
				running--;
				pump();
			});
		}
	}

	return (value: T): Promise<R> =>
		new Promise<R>((resolve, reject) => {
			waiting.push({ value, resolve, reject });
			if (scheduled || running >= lanes) return;
			scheduled = true;
			// A turn of the event loop: requests that were read from their sockets together travel together.
			outsideCalls(() => setImmediate(pump));
		});
}

/** One element's failure inside a batch that as a whole went well. */
export class Rejection {
	readonly error: unknown;
	constructor(error: unknown) {
		this.error = error;
	}
}
export const reject = (error: unknown): Rejection => new Rejection(error);
