import { monitorEventLoopDelay } from "node:perf_hooks";

/**
 * Sampling interval in milliseconds. Shorter delays are sampled in proportion to their length. Each
 * sample wakes the process, so a shorter interval would be the largest cost of a node at rest.
 */
const RESOLUTION_MS = 100;

/** Delays of the event loop in seconds. */
interface Delays {
	readonly mean: number;
	readonly p99: number;
	readonly max: number;
}

/**
 * Returns a function that reads the event loop's delays since the previous read. Measures only
 * while it is read at least once in `idleMs`; otherwise the result is undefined.
 */
export function eventLoopDelay(idleMs: number): () => Delays | undefined {
	const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
	let stopping: NodeJS.Timeout | undefined;
	return () => {
		if (stopping) {
			stopping.refresh();
			const { count, mean, max } = delay;
			const p99 = delay.percentile(99);
			delay.reset();
			return count === 0
				? undefined
				: { mean: seconds(mean), p99: seconds(p99), max: seconds(max) };
		}
		delay.reset();
		delay.enable();
		stopping = setTimeout(() => {
			delay.disable();
			stopping = undefined;
		}, idleMs).unref();
		return undefined;
	};
}

/** The monitor measures the time between two samples, which includes the interval. */
const seconds = (nanoseconds: number): number =>
	Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3);
