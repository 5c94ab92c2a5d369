import type { ResultOf } from "../../../../clients/typescript/src/index.ts";

type Statistics = ResultOf<"orders.statistics">;

/** Periods of the overview, with the interval of their charts. */
export const RANGES = {
	hour: { label: "Last hour", interval: "minute", seconds: 3600, step: 60 },
	day: { label: "Last day", interval: "hour", seconds: 86_400, step: 3600 },
	month: { label: "Last 30 days", interval: "day", seconds: 2_592_000, step: 86_400 },
} as const satisfies Record<
	string,
	{ label: string; interval: "minute" | "hour" | "day"; seconds: number; step: number }
>;
export type Range = keyof typeof RANGES;

/** Start of a range, rounded down to its interval. @param now in milliseconds */
export function startOf(range: Range, now: number): number {
	const { seconds, step } = RANGES[range];
	return Math.floor((now / 1000 - seconds) / step) * step + step;
}

interface Series {
	/** Seconds since 1970, one for each interval. */
	readonly times: number[];
	readonly placed: number[];
	readonly confirmed: number[];
	readonly cancelled: number[];
	readonly revenue: Readonly<Record<string, number[]>>;
}

/** Values for charts: 0 in intervals without orders. @param now in milliseconds */
export function seriesOf(statistics: Statistics, range: Range, now: number): Series {
	const { step } = RANGES[range];
	const start = startOf(range, now);
	const length = Math.max(1, Math.floor(now / 1000 / step) - start / step + 1);
	const zeros = () => Array.from({ length }, () => 0);
	const series = { placed: zeros(), confirmed: zeros(), cancelled: zeros() };
	const revenue: Record<string, number[]> = {};
	for (const { time, currency, placed, confirmed, cancelled, revenue: amount } of statistics) {
		const i = Math.round((Date.parse(time) / 1000 - start) / step);
		if (i < 0 || i >= length) continue;
		series.placed[i]! += placed;
		series.confirmed[i]! += confirmed;
		series.cancelled[i]! += cancelled;
		revenue[currency] ??= zeros();
		revenue[currency][i]! += amount;
	}
	return { times: zeros().map((_, i) => start + i * step), ...series, revenue };
}

interface Outcomes {
	readonly placed: number;
	readonly confirmed: number;
	readonly cancelled: number;
	/** Sagas that have not ended. */
	readonly open: number;
	/** By currency, in major units. */
	readonly revenue: Readonly<Record<string, number>>;
}
/** Sums of all intervals. */
export function outcomesOf(statistics: Statistics): Outcomes {
	let [placed, confirmed, cancelled] = [0, 0, 0];
	const revenue: Record<string, number> = {};
	for (const row of statistics) {
		placed += row.placed;
		confirmed += row.confirmed;
		cancelled += row.cancelled;
		revenue[row.currency] = (revenue[row.currency] ?? 0) + row.revenue;
	}
	return { placed, confirmed, cancelled, open: placed - confirmed - cancelled, revenue };
}
