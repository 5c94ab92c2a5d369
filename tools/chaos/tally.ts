/** Outcome of a request from the buyer's point of view. */
type Outcome = "done" | "refused" | "failed";
interface Second {
	readonly done: number;
	readonly refused: number;
	readonly failed: number;
	/** Milliseconds; 0 without successful or refused requests. */
	readonly p95: number;
}

/** Counts requests per second of completion, and records their latencies. */
export class Tally {
	readonly #startedAt: number;
	readonly #all: { second: number; ms: number; outcome: Outcome; what: string }[] = [];

	constructor(startedAt: number) {
		this.#startedAt = startedAt;
	}
	count(what: string, outcome: Outcome, sent: number): void {
		const now = Date.now();
		this.#all.push({
			second: Math.floor((now - this.#startedAt) / 1000),
			ms: now - sent,
			outcome,
			what,
		});
	}
	get requests(): number {
		return this.#all.length;
	}
	/** Number of requests by kind and response, in descending order. */
	kinds(): [what: string, count: number][] {
		const counts = new Map<string, number>();
		for (const { what } of this.#all) counts.set(what, (counts.get(what) ?? 0) + 1);
		return [...counts].sort(([, a], [, b]) => b - a);
	}
	/** Percentile of the latency in milliseconds, without failed requests; `part` is 0.95 for p95. */
	percentile(part: number, all = this.#all): number {
		const sorted = all
			.filter(({ outcome }) => outcome !== "failed")
			.map(({ ms }) => ms)
			.sort((a, b) => a - b);
		return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
	}
	seconds(): Second[] {
		const groups = Map.groupBy(this.#all, ({ second }) => second);
		const last = Math.max(0, ...groups.keys());
		return Array.from({ length: last + 1 }, (_, second) => {
			const group = groups.get(second) ?? [];
			const of = (expected: Outcome) => group.filter(({ outcome }) => outcome === expected).length;
			return {
				done: of("done"),
				refused: of("refused"),
				failed: of("failed"),
				p95: this.percentile(0.95, group),
			};
		});
	}
}
