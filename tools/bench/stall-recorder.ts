import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { BLOCK, COLLECTION, type Stall } from "./stalls.ts";

/*
 * Records the garbage collections of a process, and the blocks of its event loop, in the folder
 * BENCH_STALLS. Loaded into a process of the shop with `--import`.
 */

/** `detail` is missing in the type definitions of Node. */
type Collection = PerformanceEntry & { readonly detail: { readonly kind: number } };

const folder = process.env.BENCH_STALLS!;
/** A timer that fires later than this indicates a block of the event loop. */
const BLOCK_MS = 4;
const TIMER_MS = 2;
const FLUSH_MS = 200;

const file = join(folder, `${process.pid}.ndjson`);
let stalls: Stall[] = [];
new PerformanceObserver((list) => {
	for (const { startTime, duration, detail } of list.getEntries() as unknown as Collection[]) {
		const start = performance.timeOrigin + startTime;
		stalls.push({
			start,
			end: start + duration,
			kind: COLLECTION[detail.kind] ?? "garbage collection",
		});
	}
}).observe({ entryTypes: ["gc"] });

let last = performance.now();
setInterval(() => {
	const now = performance.now();
	if (now - last > TIMER_MS + BLOCK_MS)
		stalls.push({
			start: performance.timeOrigin + last,
			end: performance.timeOrigin + now,
			kind: BLOCK,
		});
	last = now;
}, TIMER_MS).unref();

function flush(): void {
	const text = stalls.map((stall) => `${JSON.stringify(stall)}\n`).join("");
	stalls = [];
	if (text) appendFileSync(file, text);
}
setInterval(flush, FLUSH_MS).unref();
process.on("exit", flush);
