/**
 * Percentile by nearest rank: always a measured value, never an interpolated one.
 *
 * @param sorted in ascending order
 * @param share 0.99 for the 99th percentile
 * @returns NaN for an empty sample
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
	const rank = Math.ceil(share * sorted.length - 1e-9);
	return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}

/** Median: the middle value, or the mean of the two middle values; NaN for an empty sample. */
export function median(numbers: readonly number[]): number {
	const sorted = numbers.toSorted((a, b) => a - b);
	const half = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/**
 * Median of each figure over several rounds. All rounds have the same shape: numbers, and nested
 * records of numbers. Other values are taken from the first round.
 */
export function medians<T extends object>(rounds: readonly T[]): T {
	const first = rounds[0]! as Record<string, unknown>;
	const entries = Object.entries(first).map(([name, value]) => {
		const all = rounds.map((round) => (round as Record<string, unknown>)[name]);
		if (typeof value === "number") return [name, median(all as number[])];
		return [name, typeof value === "object" && value !== null ? medians(all as object[]) : value];
	});
	return Object.fromEntries(entries) as T;
}

/** Slope of the least-squares regression line, in y per x; 0 if all points share one x. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
	const mean = (pick: (point: { x: number; y: number }) => number) =>
		points.reduce((sum, point) => sum + pick(point), 0) / points.length;
	const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
	const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
	return spread === 0
		? 0
		: points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
}
