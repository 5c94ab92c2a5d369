import { type Figures, mapValues, sum } from "./measure.ts";
import { findRow, hasSameLoad, meanCpu, type Row, ratiosTo, ratioTo } from "./rounds.ts";

/** A column of at least `width` characters, the first of which is a space. */
const column = (text: string, width: number) => ` ${text.padStart(width - 1)}`;
const fixed = (n: number, width: number, digits = 2) => column(n.toFixed(digits), width);
const cpuOf = ({ cpu }: Figures): number => sum(cpu);
const formatRatio = (ratio: number) => `${ratio.toFixed(2)}x`;

/** Column headings for the lines of formatRow. */
export const COLUMN_HEADINGS =
	"                                                   rate      p50      p95      p99" +
	"   CPU ms/op   SQL  commits    MB   of the floor: rate  CPU";

/** Formats a row with its ratio to the floor, followed by CPU time per process group and errors. */
export function formatRow(row: Row, all: readonly Row[]): string {
	const { median: figures, errors } = row;
	const floor = row.target === "floor" ? undefined : findRow(all, "floor", row);
	const load = row.offered === null ? `${row.buyers}` : `${row.buyers} @ ${row.offered}/s`;
	const groups = Object.entries({ ...figures.cpu, "(load generator": figures.generator }).map(
		([name, ms]) => `${name} ${ms.toFixed(3)}`,
	);
	const failures = Object.entries(errors).map(([status, n]) => `${n} x ${status}`);
	const columns = [
		row.target.slice(0, 12).padEnd(13),
		row.scenario.padEnd(22),
		column(load, 9),
		fixed(figures.rate, 11, 0),
		...[figures.p50, figures.p95, figures.p99].map((ms) => fixed(ms, 9)),
		fixed(cpuOf(figures), 12, 3),
		fixed(figures.statements, 6),
		fixed(figures.commits, 9),
		fixed(sum(figures.rss), 6, 0),
		column(floor ? formatRatio(ratioTo(floor, row, ({ rate }) => rate)) : "", 20),
		column(floor ? formatRatio(meanCpu(row) / meanCpu(floor)) : "", 6),
	];
	return [
		columns.join(""),
		`             ${groups.join(", ")})`,
		...(failures.length > 0 ? [`             ERRORS ${failures.join(", ")}`] : []),
	].join("\n");
}

/** Formats the ratios of target `candidate` to target `baseline`. */
export function formatComparison(
	rows: readonly Row[],
	candidate: string,
	baseline: string,
): string[] {
	return rows
		.filter(({ target }) => target === candidate)
		.flatMap((row) => {
			const base = findRow(rows, baseline, row);
			return base ? [formatRatios(base, row)] : [];
		});
}
/** Formats the ratios of the other scenarios to scenario `baseline` on the same target. */
export function formatScenarioComparison(rows: readonly Row[], baseline: string): string[] {
	return rows
		.filter(({ scenario }) => scenario !== baseline)
		.flatMap((row) => {
			const base = rows.find(
				(other) =>
					other.target === row.target && other.scenario === baseline && hasSameLoad(row, other),
			);
			return base ? [`${row.target.slice(0, 12).padEnd(13)}${formatRatios(base, row)}`] : [];
		});
}
/**
 * Formats ratios: that of the mean CPU times, with the lowest and the highest ratio of a round, and
 * otherwise medians of the rounds' ratios.
 */
function formatRatios(base: Row, row: Row): string {
	const ratio = (pick: (figures: Figures) => number) => formatRatio(ratioTo(base, row, pick));
	const cpu = ratiosTo(base, row, cpuOf);
	const range = `${formatRatio(Math.min(...cpu))} to ${formatRatio(Math.max(...cpu))}`;
	const [from, to] = [meanCpu(base), meanCpu(row)] as const;
	return [
		`${row.scenario.padEnd(22)}${String(row.buyers).padStart(4)} buyers`,
		`rate ${ratio(({ rate }) => rate)}`,
		`p50 ${ratio(({ p50 }) => p50)}`,
		`p99 ${ratio(({ p99 }) => p99)}`,
		`CPU ${formatRatio(to / from)} (${range}; ${from.toFixed(3)} -> ${to.toFixed(3)} ms)`,
		`SQL ${ratio(({ statements }) => statements)}`,
	].join("   ");
}

/** Formats the idle CPU time of each target, in milliseconds per second. */
export const formatIdle = (
	idle: Readonly<Record<string, Readonly<Record<string, number>>>>,
): string[] =>
	Object.entries(idle).map(([target, groups]) => {
		const parts = Object.values(mapValues(groups, (ms, name) => `${name} ${ms.toFixed(1)}`));
		return (
			`${target.padEnd(13)}at rest: ` +
			`CPU ${sum(groups).toFixed(1)} ms per second (${parts.join(", ")})`
		);
	});
