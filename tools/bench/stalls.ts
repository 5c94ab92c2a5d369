import { constants } from "node:perf_hooks";

/** A period in which a process may not have responded, in epoch milliseconds. */
export interface Stall {
	readonly start: number;
	readonly end: number;
	readonly kind: string;
}
/** A measured request, in epoch milliseconds. */
export interface Timed {
	readonly start: number;
	readonly end: number;
}

/** Kinds of garbage collections by Node's constants. */
export const COLLECTION: Readonly<Record<number, string>> = {
	[constants.NODE_PERFORMANCE_GC_MINOR]: "garbage collection, young generation",
	[constants.NODE_PERFORMANCE_GC_MAJOR]: "garbage collection, old generation",
	[constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "garbage collection, incremental step",
	[constants.NODE_PERFORMANCE_GC_WEAKCB]: "garbage collection, weak callbacks",
};
export const BLOCK = "event loop blocked for 4 ms or longer";
/** Statements that take longer are logged by Postgres, in milliseconds. */
export const SLOW_STATEMENT_MS = 5;
/** Shorter stalls cannot explain a slow request. */
const MIN_STALL_MS = 0.5;

/** Parses the lines of a stall recorder. The last line may be incomplete. */
export const parseStalls = (text: string): Stall[] =>
	text
		.split("\n")
		.slice(0, -1)
		.map((line) => JSON.parse(line) as Stall);

/**
 * Parses slow statements and autovacuums from a Postgres log whose lines start with the user name
 * and the time in epoch seconds. Postgres writes a line at the end of each.
 */
export function parsePostgresStalls(log: string): Stall[] {
	return log.split(/\n(?!\t)/).flatMap((entry): Stall[] => {
		const time = /^\S* (\d+\.\d+) /.exec(entry);
		if (!time) return [];
		const end = Number(time[1]) * 1000;
		const statement = /duration: ([\d.]+) ms {2}execute (\w+)/.exec(entry);
		if (statement) {
			const [, ms, name] = statement;
			const kind = `statement ${name}, ${SLOW_STATEMENT_MS} ms or longer`;
			return [{ start: end - Number(ms), end, kind }];
		}
		const vacuum = /automatic (?:vacuum|analyze)[\s\S]*elapsed: ([\d.]+) s/.exec(entry);
		return vacuum ? [{ start: end - Number(vacuum[1]) * 1000, end, kind: "autovacuum" }] : [];
	});
}

/** Number of requests that overlap with stalls of one kind. */
interface Overlap {
	readonly kind: string;
	/** Share of the slow requests, from 0 to 1. */
	readonly slow: number;
	/** Share of all requests, from 0 to 1. */
	readonly all: number;
}
export interface Explanation {
	/** Latency from which on a request is slow, in milliseconds. */
	readonly from: number;
	readonly count: number;
	/** The most frequent one of the slow requests first. */
	readonly overlaps: readonly Overlap[];
	/** Share of the slow requests that overlap with no stall. */
	readonly unexplained: number;
}

/**
 * Compares the slowest requests with all requests: a kind of stall that overlaps with many of the
 * slow ones, and with few of all, is a likely cause.
 * @param share of the requests that count as slow
 */
export function explainRequests(
	requests: readonly Timed[],
	stalls: readonly Stall[],
	share = 0.01,
): Explanation {
	const slowest = requests
		.toSorted((a, b) => b.end - b.start - (a.end - a.start))
		.slice(0, Math.max(1, Math.ceil(requests.length * share)));
	const relevant = stalls.filter(({ start, end }) => end - start >= MIN_STALL_MS);
	const kinds = [...Map.groupBy(relevant, ({ kind }) => kind)].map(
		([kind, members]) => [kind, overlapTest(members)] as const,
	);
	const shareOf = (group: readonly Timed[], test: (request: Timed) => boolean) =>
		group.filter(test).length / Math.max(1, group.length);
	const { start = 0, end = 0 } = slowest.at(-1) ?? {};
	return {
		from: end - start,
		count: slowest.length,
		overlaps: kinds
			.map(([kind, test]) => ({ kind, slow: shareOf(slowest, test), all: shareOf(requests, test) }))
			.filter(({ slow }) => slow > 0)
			.sort((a, b) => b.slow - a.slow),
		unexplained: shareOf(slowest, (request) => !kinds.some(([, test]) => test(request))),
	};
}

/** Returns a function that tests whether a request overlaps with one of the stalls. */
function overlapTest(stalls: readonly Stall[]): (request: Timed) => boolean {
	const sorted = stalls.toSorted((a, b) => a.start - b.start);
	// The latest end of the stalls up to each index: stalls of several processes may overlap.
	let latest = Number.NEGATIVE_INFINITY;
	const ends = sorted.map(({ end }) => {
		latest = Math.max(latest, end);
		return latest;
	});
	return ({ start, end }) => {
		let [low, high] = [0, sorted.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if (sorted[middle]!.start < end) low = middle + 1;
			else high = middle;
		}
		return low > 0 && ends[low - 1]! > start;
	};
}

/** Formats an explanation as lines. */
export function formatExplanation({ from, count, overlaps, unexplained }: Explanation): string[] {
	const percent = (part: number) => `${(part * 100).toFixed(0)} %`.padStart(6);
	return [
		`             slowest 1 %: ${count} requests of ${from.toFixed(1)} ms or longer`,
		"             share of them, and of all, that overlap with:",
		...overlaps.map(
			({ kind, slow, all }) => `             ${percent(slow)} ${percent(all)}   ${kind}`,
		),
		`             ${percent(unexplained)}          none of these`,
	];
}
