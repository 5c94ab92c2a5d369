import { withTimeout } from "../async/with-timeout.ts";

interface Limits {
	readonly rows: number;
	readonly bytes: number;
	/** Milliseconds after which an incomplete batch is returned, for a sender that pauses. */
	readonly ms: number;
}

/**
 * Groups elements into batches. A batch ends before a limit is exceeded, and when no group has
 * arrived in time.
 * @param groups of elements, of any size
 * @param sizeOf bytes of an element
 */
export async function* batchesOf<T>(
	groups: AsyncIterable<readonly T[]>,
	sizeOf: (element: T) => number,
	limits: Limits,
): AsyncGenerator<T[]> {
	const source = groups[Symbol.asyncIterator]();
	let batch: T[] = [];
	let bytes = 0;
	let next: Promise<IteratorResult<readonly T[]>> | undefined;
	const take = () => {
		const full = batch;
		[batch, bytes] = [[], 0];
		return full;
	};
	try {
		for (;;) {
			next ??= source.next();
			const result = batch.length > 0 ? await withTimeout(next, limits.ms) : await next;
			if (!result) {
				yield take();
				continue;
			}
			next = undefined;
			if (result.done) break;
			for (const element of result.value) {
				const size = sizeOf(element);
				if (batch.length >= limits.rows || (batch.length > 0 && bytes + size > limits.bytes))
					yield take();
				batch.push(element);
				bytes += size;
			}
		}
		if (batch.length > 0) yield take();
	} finally {
		// Not awaited: a group that never arrives would delay the end.
		next?.catch(() => undefined);
		source.return?.().catch(() => undefined);
	}
}
