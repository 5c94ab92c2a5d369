import { mapValues, sum } from "./measure.ts";
import type { Row } from "./rounds.ts";

const fixed = (n: number, width: number, digits = 2) => n.toFixed(digits).padStart(width);
/** Ratio to `base`; empty without a base. */
const formatRatio = (n: number, base: number | undefined) =>
	base ? `${(n / base).toFixed(2)}x` : "";

/** Column headings for the lines of formatRow. */
export const COLUMN_HEADINGS =
	"                                                   rate      p50      p95      p99" +
	"   CPU ms/op   SQL  commits    MB   of the floor: rate  CPU";

const hasSameLoad = (row: Row) => (other: Row) =>
	other.scenario === row.scenario && other.buyers === row.buyers && other.offered === row.offered;

/** Formats a row with its ratio to the floor, followed by CPU time per process group and errors. */
export function formatRow(row: Row, all: readonly Row[]): string {
	const { median: figures, errors } = row;
	const floor =
		row.target === "floor"
			? undefined
			: all.filter(hasSameLoad(row)).find(({ target }) => target === "floor")?.median;
	const load = row.offered === null ? `${row.buyers}` : `${row.buyers} @ ${row.offered}/s`;
	const cpu = sum(figures.cpu);
	const groups = Object.entries({ ...figures.cpu, "(load generator": figures.generator }).map(
		([name, ms]) => `${name} ${ms.toFixed(3)}`,
	);
	const failures = Object.entries(errors).map(([status, n]) => `${n} x ${status}`);
	const columns = [
		row.target.slice(0, 12).padEnd(13),
		row.scenario.padEnd(22),
		load.padStart(9),
		fixed(figures.rate, 11, 0),
		...[figures.p50, figures.p95, figures.p99].map((ms) => fixed(ms, 9)),
		fixed(cpu, 12, 3),
		fixed(figures.statements, 6),
		fixed(figures.commits, 9),
		fixed(sum(figures.rss), 6, 0),
		formatRatio(figures.rate, floor?.rate).padStart(20),
		formatRatio(cpu, floor && sum(floor.cpu)).padStart(6),
	];
	return [
		columns.join(""),
		`             ${groups.join(", ")})`,
		...(failures.length > 0 ? [`             ERRORS ${failures.join(", ")}`] : []),
	].join("\n");
}

/** Formats the ratios of medians of target `ours` to target `theirs`. */
export function formatComparison(
	rows: readonly Row[],
	candidate: string,
	baseline: string,
): string[] {
	return rows
		.filter(({ target }) => target === candidate)
		.flatMap((row) => {
			const before = rows.filter(hasSameLoad(row)).find(({ target }) => target === baseline);
			if (!before) return [];
			const [now, then] = [row.median, before.median];
			const [a, b] = [sum(now.cpu), sum(then.cpu)];
			const columns = [
				`${row.scenario.padEnd(22)}${String(row.buyers).padStart(4)} buyers`,
				`rate ${formatRatio(now.rate, then.rate)}`,
				`p50 ${formatRatio(now.p50, then.p50)}`,
				`p99 ${formatRatio(now.p99, then.p99)}`,
				`CPU ${formatRatio(a, b)} (${b.toFixed(3)} -> ${a.toFixed(3)} ms)`,
				`SQL ${formatRatio(now.statements, then.statements)}`,
			];
			return [columns.join("   ")];
		});
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
