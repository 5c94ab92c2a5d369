import { median, medians } from "./figures.ts";
import { type Figures, Meter, sum } from "./measure.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import type { Timed } from "./stalls.ts";
import type { Target } from "./target.ts";

/** Result of one scenario and load on one target. */
export interface Row {
	readonly target: string;
	readonly scenario: string;
	readonly buyers: number;
	/** Scheduled operations per second of an open loop; null for a closed loop. */
	readonly offered: number | null;
	/** Median of each figure over the rounds. */
	readonly median: Figures;
	readonly rounds: readonly Figures[];
	readonly errors: Readonly<Record<string, number>>;
}
export interface Findings {
	readonly rows: readonly Row[];
	/** CPU milliseconds per second without load, by target and process group. */
	readonly idle: Readonly<Record<string, Readonly<Record<string, number>>>>;
	/** Violated invariants. The figures of a run with violations are void. */
	readonly violations: readonly string[];
	/** Number of checked orders by target. */
	readonly checked: Readonly<Record<string, number>>;
}
interface Plan {
	readonly scenarios: readonly string[];
	readonly buyers: readonly number[];
	/** Operations per second of open loops; empty for closed loops. */
	readonly rates: readonly number[];
	readonly rounds: number;
	readonly seconds: number;
	readonly warmup: number;
	/** Scenarios of one target in addition to the common ones. */
	extraScenarios?(target: Target): Readonly<Record<string, Scenario>>;
	onRow?(row: Row, all: readonly Row[]): void;
	onProgress?(line: string): void;
	/** Runs after each measurement. */
	afterEach?(target: Target, requests: readonly Timed[]): Promise<void>;
}

/** One scenario with one load. */
interface Step {
	readonly name: string;
	readonly buyers: number;
	readonly rate: number | undefined;
}
/** Measurements of one step on one target. */
interface Series {
	readonly meter: Meter;
	readonly figures: Figures[];
	readonly errors: Record<string, number>;
}

/**
 * Measures every scenario on every target once per round, and then checks the invariants of each
 * target. The speed of a machine changes within minutes; measurements of one round are close to
 * each other, so that both sides of a ratio have the same speed.
 */
export async function measureAll(targets: readonly Target[], plan: Plan): Promise<Findings> {
	const meters = targets.map((target) => new Meter(target));
	const { onProgress = () => undefined, seconds, warmup } = plan;
	const idle: Record<string, Record<string, number>> = {};
	const rows: Row[] = [];
	const violations: string[] = [];
	for (const meter of meters) {
		onProgress(`${meter.target.name} idle`);
		idle[meter.target.name] = await meter.idle(Math.min(3, seconds));
	}
	const findScenario = (name: string, target: Target) =>
		({ ...scenarios, ...plan.extraScenarios?.(target) })[name]!;
	const startSeries = (meter: Meter): Series => ({ meter, figures: [], errors: {} });
	const steps = stepsOf(plan).map((step) => ({
		...step,
		series: meters
			.filter(
				({ target }) => target.name !== "floor" || findScenario(step.name, target).runsOnFloor,
			)
			.map(startSeries),
	}));
	/** Measures a step once on one target. */
	async function measure(step: Step, { meter, figures, errors }: Series): Promise<void> {
		const { target } = meter;
		const { name, buyers, rate } = step;
		const scenario = findScenario(name, target);
		const measured = await meter.measure({ scenario, buyers, rate, seconds, warmup });
		figures.push(measured.figures);
		for (const [status, n] of Object.entries(measured.errors))
			errors[status] = (errors[status] ?? 0) + n;
		for (const violation of measured.violations)
			violations.push(`${target.name}, ${name} with ${buyers} buyers: ${violation}`);
		await plan.afterEach?.(target, measured.requests);
	}
	for (let round = 1; round <= plan.rounds; round++)
		for (const [i, step] of steps.entries()) {
			for (const series of step.series) {
				onProgress(
					`Round ${round}/${plan.rounds}, ${i + 1}/${steps.length}: ` +
						`${step.name}, ${step.buyers} buyers, ${series.meter.target.name}`,
				);
				await measure(step, series);
			}
			if (round < plan.rounds) continue;
			const finished = step.series.map((series) => toRow(step, series));
			rows.push(...finished);
			for (const row of finished) plan.onRow?.(row, rows);
		}
	const checked: Record<string, number> = {};
	for (const meter of meters) {
		onProgress(`${meter.target.name}: checking invariants`);
		const { violations: found, state } = await meter.check();
		checked[meter.target.name] = state.confirmed;
		violations.push(...found.map((violation) => `${meter.target.name}: ${violation}`));
	}
	return { rows, idle, violations, checked };
}

/** Every scenario with every load. */
function stepsOf({ scenarios, buyers: all, rates }: Plan): Step[] {
	const loads = all.flatMap((buyers) =>
		(rates.length > 0 ? rates : [undefined]).map((rate) => ({ buyers, rate })),
	);
	return scenarios.flatMap((name) => loads.map((load) => ({ name, ...load })));
}
const toRow = ({ name, buyers, rate }: Step, { meter, figures, errors }: Series): Row => ({
	target: meter.target.name,
	scenario: name,
	buyers,
	offered: rate ?? null,
	median: medians(figures),
	rounds: figures,
	errors,
});

export const hasSameLoad = (row: Row, other: Row): boolean =>
	other.buyers === row.buyers && other.offered === row.offered;
/** The row of another target with the same scenario and load. */
export const findRow = (all: readonly Row[], target: string, row: Row): Row | undefined =>
	all.find(
		(other) =>
			other.target === target && other.scenario === row.scenario && hasSameLoad(row, other),
	);

/** Ratios of a figure of `row` to that of `base` in each round. */
export const ratiosTo = (base: Row, row: Row, pick: (figures: Figures) => number): number[] =>
	row.rounds.map((figures, round) => pick(figures) / pick(base.rounds[round]!));
/** Median of {@link ratiosTo}. */
export const ratioTo = (...args: Parameters<typeof ratiosTo>): number => median(ratiosTo(...args));

/**
 * CPU milliseconds per operation, the mean of all rounds: autovacuum runs once a minute, in one
 * measurement for several.
 */
export const meanCpu = ({ rounds }: Row): number =>
	rounds.reduce((total, { cpu }) => total + sum(cpu), 0) / rounds.length;
