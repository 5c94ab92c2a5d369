import { monitorEventLoopDelay } from "node:perf_hooks";

/** Sampling interval in milliseconds. The monitor's measurements include it. */
const RESOLUTION_MS = 20;
/** Milliseconds without a reader after which the measurement stops. */
const IDLE_MS = 30_000;

/**
 * Returns a function that reads the 99th percentile of the event loop's delay since the previous
 * read, in milliseconds. Measures only while it is read at least twice a minute; otherwise the
 * result is null.
 */
export function eventLoopDelay(idleMs = IDLE_MS): () => number | null {
	const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
	let stopping: NodeJS.Timeout | undefined;
	return () => {
		if (stopping) {
			stopping.refresh();
			const ms = delay.percentile(99) / 1e6 - RESOLUTION_MS;
			const isEmpty = delay.count === 0;
			delay.reset();
			return isEmpty ? null : Math.max(0, ms);
		}
		delay.reset();
		delay.enable();
		stopping = setTimeout(() => {
			delay.disable();
			stopping = undefined;
		}, idleMs).unref();
		return null;
	};
}
