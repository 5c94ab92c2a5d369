import { runOutsideCalls } from "../context/call-context.ts";
import { currentTraceparent, runInTracesOf, type Traced } from "../context/traceparent.ts";
import { isOutage } from "../resilience/outages.ts";

export interface MicroBatchOptions<T = unknown, R = unknown> {
	/** The most elements that one run takes, or the sum of their sizes; one that is larger by itself travels alone. */
	readonly maxSize?: number;
	/** For how many an element counts; one unless given. */
	sizeOf?(value: T): number;
	/** The size of a run in bytes, for elements that travel in one message; at the time of the run. */
	maxBytes?(): number;
	/** The size of an element in such a message; an estimate is enough, because a run that is still too large is cut in halves. */
	bytesOf?(value: T): number;
	/** How many runs may be under way at once; one unless given. */
	readonly concurrency?: number;
	/**
	 * What a run's lane waits for after the run was answered. Where work goes on through further batches, it keeps those who began it together
	 * for all of its way, so that each of those batches is as large as the first. `arrivals` fulfils when that many more elements
	 * have come. Must not reject.
	 */
	readonly afterEach?: (
		results: readonly (R | Rejection)[],
		arrivals: (count: number) => Promise<void>,
	) => Promise<unknown>;
}

interface Waiting<T, R> extends Traced {
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
export function microBatch<T, R>(
	step: (values: T[]) => Promise<readonly (R | Rejection)[]>,
	options: MicroBatchOptions<T, R> = {},
) {
	const { maxSize = 500, sizeOf = () => 1, concurrency = 1, afterEach } = options;
	const { maxBytes = () => Number.POSITIVE_INFINITY, bytesOf = () => 0 } = options;
	let waiting: Waiting<T, R>[] = [];
	let running = 0;
	let scheduled = false;
	let awaited: { readonly total: number; tell(): void }[] = [];
	const arrivals = (count: number) =>
		new Promise<void>((tell) => awaited.push({ total: waiting.length + count, tell }));
	/** Puts what is to be waited for afterwards into `left`. */
	async function settle(part: Waiting<T, R>[], left: Promise<unknown>[]): Promise<void> {
		try {
			const results = await runInTracesOf(part, () => step(part.map(({ value }) => value)));
			if (results.length !== part.length)
				throw new Error(`A batch of ${part.length} was answered with ${results.length} results`);
			part.forEach(({ resolve, reject }, i) => {
				const result = results[i]!;
				if (result instanceof Rejection) reject(result.error);
				else resolve(result as R);
			});
			if (afterEach) left.push(afterEach(results, arrivals));
		} catch (error) {
			if (part.length === 1 || isOutage(error)) {
				for (const { reject } of part) reject(error);
				return;
			}
			const half = part.length >> 1;
			await settle(part.slice(0, half), left);
			await settle(part.slice(half), left);
		}
	}

	async function run(part: Waiting<T, R>[]): Promise<void> {
		const left: Promise<unknown>[] = [];
		await settle(part, left);
		await Promise.all(left);
	}
	/** How many of those that wait go into one run. */
	function fitting(): number {
		const most = maxBytes();
		let [size, bytes] = [0, 0];
		const end = waiting.findIndex(({ value }, i) => {
			size += sizeOf(value);
			bytes += bytesOf(value);
			return i > 0 && (size > maxSize || bytes > most);
		});
		return end < 0 ? waiting.length : end;
	}
	function pump(): void {
		scheduled = false;
		while (running < concurrency && waiting.length > 0) {
			const part = waiting.slice(0, fitting());
			waiting = waiting.slice(part.length);
			running++;
			awaited = [];
			run(part).finally(() => {
				running--;
				pump();
			});
		}
	}

	return (value: T): Promise<R> =>
		new Promise<R>((resolve, reject) => {
			waiting.push({ value, resolve, reject, traceparent: currentTraceparent() });
			for (const { total, tell } of awaited) if (waiting.length >= total) tell();
			if (scheduled || running >= concurrency) return;
			scheduled = true;
			// A turn of the event loop: requests that were read from their sockets together travel together.
			runOutsideCalls(() => setImmediate(pump));
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
