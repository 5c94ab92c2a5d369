/** What became of a request, as its buyer sees it. */
export type Outcome = "done" | "refused" | "failed";
export interface Second {
	readonly done: number;
	readonly refused: number;
	readonly failed: number;
	/** Milliseconds; 0 where nothing was answered. */
	readonly p95: number;
}

/** Counts requests by the second in which they were answered, and their latencies. */
export class Tally {
	readonly #begun: number;
	readonly #all: { second: number; ms: number; outcome: Outcome; what: string }[] = [];

	constructor(begun: number) {
		this.#begun = begun;
	}
	count(what: string, outcome: Outcome, sent: number): void {
		const now = Date.now();
		this.#all.push({
			second: Math.floor((now - this.#begun) / 1000),
			ms: now - sent,
			outcome,
			what,
		});
	}
	get requests(): number {
		return this.#all.length;
	}
	/** How many requests there were of each kind and answer, the most frequent first. */
	kinds(): [what: string, count: number][] {
		const counts = new Map<string, number>();
		for (const { what } of this.#all) counts.set(what, (counts.get(what) ?? 0) + 1);
		return [...counts].sort(([, a], [, b]) => b - a);
	}
	/** The latency in milliseconds that so large a part of the answered requests did not exceed. */
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
			const mine = groups.get(second) ?? [];
			const of = (wanted: Outcome) => mine.filter(({ outcome }) => outcome === wanted).length;
			return {
				done: of("done"),
				refused: of("refused"),
				failed: of("failed"),
				p95: this.percentile(0.95, mine),
			};
		});
	}
}
