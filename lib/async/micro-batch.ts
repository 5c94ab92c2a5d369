import { runOutsideCalls } from "../context/call-context.ts";
import { currentTraceparent, runInTracesOf, type Traced } from "../context/traceparent.ts";
import { isOutage } from "../resilience/outages.ts";
import { withTimeout } from "./with-timeout.ts";

export interface MicroBatchOptions<T = unknown, R = unknown> {
	/**
	 * Maximum sum of the sizes of a batch's elements; 500 by default. A larger element is processed
	 * in a batch of its own.
	 */
	readonly maxSize?: number;
	/** Size of an element; 1 by default. */
	sizeOf?(value: T): number;
	/** Maximum bytes of a batch that is sent as one message. Evaluated when the batch starts. */
	maxBytes?(): number;
	/**
	 * Bytes of an element in such a message. An estimate is sufficient, because a batch that is still
	 * too large is split.
	 */
	bytesOf?(value: T): number;
	/** Maximum number of concurrent batches; 1 by default. */
	readonly concurrency?: number;
	/**
	 * Milliseconds that a batch waits at most for as many elements as the previous one had, so that
	 * concurrent callers who arrive one after the other share a batch. 0 by default. A single caller
	 * never waits.
	 */
	readonly gatherMs?: number;
	/**
	 * Delays the next batch after this one has returned its results. If the elements continue through
	 * further batches, the delay keeps elements that started together in the same batches.
	 * `arrivals` resolves when the given number of new elements has arrived. Must not reject.
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
 * Collects the elements that arrive while the previous batch is running, and processes them in one
 * call of `step`. Without `gatherMs` and `afterEach` it uses no timer and adds no delay.
 *
 * `step` returns one result per element, in the given order, and `reject(error)` for an element
 * that fails alone. If the batch fails as a whole, and not because of an outage, it is split in
 * halves that run again, so that one bad element never fails its neighbors. `step` must therefore
 * be idempotent or all-or-nothing.
 */
export function microBatch<T, R>(
	step: (values: T[]) => Promise<readonly (R | Rejection)[]>,
	options: MicroBatchOptions<T, R> = {},
) {
	const { maxSize = 500, sizeOf = () => 1, concurrency = 1, gatherMs = 0, afterEach } = options;
	const { maxBytes = () => Number.POSITIVE_INFINITY, bytesOf = () => 0 } = options;
	let waiting: Waiting<T, R>[] = [];
	let running = 0;
	let scheduled = false;
	let previousLength = 0;
	let arrivalListeners: { readonly total: number; notify(): void }[] = [];
	const arrivals = (count: number) =>
		new Promise<void>((notify) => arrivalListeners.push({ total: waiting.length + count, notify }));
	/** Settles the elements of a batch. Adds the promises of `afterEach` to `delays`. */
	async function execute(batch: Waiting<T, R>[], delays: Promise<unknown>[]): Promise<void> {
		try {
			const results = await runInTracesOf(batch, () => step(batch.map(({ value }) => value)));
			if (results.length !== batch.length)
				throw new Error(`A batch of ${batch.length} elements returned ${results.length} results`);
			batch.forEach(({ resolve, reject }, i) => {
				const result = results[i]!;
				if (result instanceof Rejection) reject(result.error);
				else resolve(result as R);
			});
			if (afterEach) delays.push(afterEach(results, arrivals));
		} catch (error) {
			if (batch.length === 1 || isOutage(error)) {
				for (const { reject } of batch) reject(error);
				return;
			}
			const half = batch.length >> 1;
			await execute(batch.slice(0, half), delays);
			await execute(batch.slice(half), delays);
		}
	}

	async function run(batch: Waiting<T, R>[]): Promise<void> {
		const delays: Promise<unknown>[] = [];
		await execute(batch, delays);
		await Promise.all(delays);
	}
	/** Number of waiting elements that fit into the next batch, at least one. */
	function nextBatchLength(): number {
		const byteLimit = maxBytes();
		let [size, bytes] = [0, 0];
		const end = waiting.findIndex(({ value }, i) => {
			size += sizeOf(value);
			bytes += bytesOf(value);
			return i > 0 && (size > maxSize || bytes > byteLimit);
		});
		return end < 0 ? waiting.length : end;
	}
	function startBatches(): void {
		scheduled = false;
		while (running < concurrency && waiting.length > 0) {
			const batch = waiting.slice(0, nextBatchLength());
			waiting = waiting.slice(batch.length);
			previousLength = batch.length;
			running++;
			arrivalListeners = [];
			run(batch).finally(() => {
				running--;
				startBatches();
			});
		}
	}

	async function startSoon(): Promise<void> {
		if (gatherMs > 0 && previousLength > 1)
			await withTimeout(arrivals(previousLength - 1), gatherMs);
		// One turn of the event loop puts requests that were read together into one batch.
		setImmediate(startBatches);
	}

	return (value: T): Promise<R> =>
		new Promise<R>((resolve, reject) => {
			waiting.push({ value, resolve, reject, traceparent: currentTraceparent() });
			for (const { total, notify } of arrivalListeners) if (waiting.length >= total) notify();
			if (scheduled || running >= concurrency) return;
			scheduled = true;
			runOutsideCalls(startSoon);
		});
}

/** Failure of one element in a batch that succeeds as a whole. */
export class Rejection {
	readonly error: unknown;
	constructor(error: unknown) {
		this.error = error;
	}
}
/** Result of one element that fails: the batch rejects the call of this element with `error`. */
export const reject = (error: unknown): Rejection => new Rejection(error);
