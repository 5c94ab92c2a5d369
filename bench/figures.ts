/**
 * The value that `share` of all are at or below, by the nearest rank: always one that was measured, never one in between.
 * @param sorted in ascending order
 * @param share 0.99 for the 99th percentile
 * @returns NaN of nothing
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
	const rank = Math.ceil(share * sorted.length - 1e-9);
	return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(numbers: readonly number[]): number {
	const sorted = numbers.toSorted((a, b) => a - b);
	const half = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Medians of several rounds, figure by figure; `rounds` all have the same shape, of numbers and of records of such. */
export function medians<T extends object>(rounds: readonly T[]): T {
	const first = rounds[0]! as Record<string, unknown>;
	const entries = Object.entries(first).map(([name, value]) => {
		const all = rounds.map((round) => (round as Record<string, unknown>)[name]);
		if (typeof value === "number") return [name, median(all as number[])];
		return [name, typeof value === "object" && value !== null ? medians(all as object[]) : value];
	});
	return Object.fromEntries(entries) as T;
}

/** By how much `after` is more than `before`, in percent. */
export const change = (before: number, after: number): number => (after / before - 1) * 100;

/** How fast something grows: the slope of the straight line that lies nearest (least squares), in y per x. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
	const mean = (pick: (point: { x: number; y: number }) => number) => points.reduce((sum, point) => sum + pick(point), 0) / points.length;
	const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
	const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
	return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
}
