import { medians } from "./figures.ts";
import { type Figures, Meter } from "./measure.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import type { Target } from "./target.ts";

/** One scenario with so many buyers, on one target. */
export interface Row {
	readonly target: string;
	readonly scenario: string;
	readonly buyers: number;
	/** Operations per second that were due; null where each buyer sends as soon as it was answered. */
	readonly offered: number | null;
	/** Medians over the rounds, figure by figure. */
	readonly median: Figures;
	readonly rounds: readonly Figures[];
	readonly errors: Readonly<Record<string, number>>;
}
export interface Findings {
	readonly rows: readonly Row[];
	/** CPU milliseconds per second while nobody asks anything. */
	readonly idle: Readonly<Record<string, Readonly<Record<string, number>>>>;
	/** By target; a benchmark with one is worth nothing. */
	readonly violations: readonly string[];
	/** What was ordered and checked, by target. */
	readonly checked: Readonly<Record<string, number>>;
}
export interface Plan {
	readonly scenarios: readonly string[];
	readonly buyers: readonly number[];
	/** Of open loops; empty where the buyers send as they can. */
	readonly rates: readonly number[];
	readonly rounds: number;
	readonly seconds: number;
	readonly warmup: number;
	/** Scenarios of a target beside those that everybody has. */
	extraScenarios?(target: Target): Readonly<Record<string, Scenario>>;
	onRow?(row: Row, all: readonly Row[]): void;
	onProgress?(line: string): void;
	/** Something else that is worth knowing of a measurement that has just ended. */
	afterEach?(target: Target, scenario: string): Promise<void>;
}

/** Measures the targets in turn, round by round, and then sees whether their books are in order. */
export async function measureAll(targets: readonly Target[], plan: Plan): Promise<Findings> {
	const meters = targets.map((target) => new Meter(target));
	const { onProgress = () => undefined, seconds, warmup } = plan;
	const idle: Record<string, Record<string, number>> = {};
	const rows: Row[] = [];
	const violations: string[] = [];
	for (const meter of meters) {
		onProgress(`${meter.target.name} at rest`);
		idle[meter.target.name] = await meter.idle(Math.min(3, seconds));
	}
	const find = (name: string, target: Target) => ({ ...scenarios, ...plan.extraScenarios?.(target) })[name]!;
	const loads = plan.buyers.flatMap((buyers) => (plan.rates.length > 0 ? plan.rates : [undefined]).map((rate) => ({ buyers, rate })));
	const work = plan.scenarios.flatMap((name) => loads.map((load) => ({ name, ...load })));
	let step = 0;
	for (const { name, buyers, rate } of work) {
		const taking = meters.filter(({ target }) => target.name !== "floor" || find(name, target).runsOnFloor);
		const found = new Map(taking.map((meter) => [meter, { figures: [] as Figures[], errors: {} as Record<string, number> }]));
		step++;
		for (let round = 1; round <= plan.rounds; round++) {
			for (const meter of taking) {
				const { name: target } = meter.target;
				onProgress(`${step}/${work.length}  ${name}, ${buyers} buyers, round ${round}/${plan.rounds}: ${target}`);
				const measured = await meter.measure({ scenario: find(name, meter.target), buyers, rate, seconds, warmup });
				const { figures, errors } = found.get(meter)!;
				figures.push(measured.figures);
				for (const [status, n] of Object.entries(measured.errors)) errors[status] = (errors[status] ?? 0) + n;
				violations.push(...measured.violations.map((violation) => `${target}, ${name} with ${buyers} buyers: ${violation}`));
				await plan.afterEach?.(meter.target, name);
			}
		}
		for (const [{ target }, { figures, errors }] of found) {
			const median = medians(figures);
			rows.push({ target: target.name, scenario: name, buyers, offered: rate ?? null, median, rounds: figures, errors });
			plan.onRow?.(rows.at(-1)!, rows);
		}
	}
	const checked: Record<string, number> = {};
	for (const meter of meters) {
		onProgress(`${meter.target.name}: are the books in order?`);
		const { violations: wrong, books } = await meter.check();
		checked[meter.target.name] = books.confirmed;
		violations.push(...wrong.map((violation) => `${meter.target.name}: ${violation}`));
	}
	return { rows, idle, violations, checked };
}
