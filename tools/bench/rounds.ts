import { medians } from "./figures.ts";
import { type Figures, Meter } from "./measure.ts";
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

/** Measures the targets alternately in each round, then checks the invariants of each target. */
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
	const loads = plan.buyers.flatMap((buyers) =>
		(plan.rates.length > 0 ? plan.rates : [undefined]).map((rate) => ({ buyers, rate })),
	);
	const steps = plan.scenarios.flatMap((name) => loads.map((load) => ({ name, ...load })));
	let step = 0;
	for (const { name, buyers, rate } of steps) {
		const participants = meters.filter(
			({ target }) => target.name !== "floor" || findScenario(name, target).runsOnFloor,
		);
		const collected = new Map(
			participants.map((meter) => [
				meter,
				{ figures: [] as Figures[], errors: {} as Record<string, number> },
			]),
		);
		step++;
		for (let round = 1; round <= plan.rounds; round++) {
			for (const meter of participants) {
				const { name: target } = meter.target;
				onProgress(
					`${step}/${steps.length}  ${name}, ${buyers} buyers, ` +
						`round ${round}/${plan.rounds}: ${target}`,
				);
				const measured = await meter.measure({
					scenario: findScenario(name, meter.target),
					buyers,
					rate,
					seconds,
					warmup,
				});
				const { figures, errors } = collected.get(meter)!;
				figures.push(measured.figures);
				for (const [status, n] of Object.entries(measured.errors))
					errors[status] = (errors[status] ?? 0) + n;
				violations.push(
					...measured.violations.map(
						(violation) => `${target}, ${name} with ${buyers} buyers: ${violation}`,
					),
				);
				await plan.afterEach?.(meter.target, measured.requests);
			}
		}
		for (const [{ target }, { figures, errors }] of collected) {
			const median = medians(figures);
			rows.push({
				target: target.name,
				scenario: name,
				buyers,
				offered: rate ?? null,
				median,
				rounds: figures,
				errors,
			});
			plan.onRow?.(rows.at(-1)!, rows);
		}
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
