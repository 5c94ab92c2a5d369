import { auditScenario, joinCluster } from "./auditor.ts";
import { formatImport, type ImportResult, measureImport } from "./import.ts";
import type { Options } from "./options.ts";
import { lineChart } from "./page.ts";
import { resetStatements, slowestStatements } from "./postgres.ts";
import {
	COLUMN_HEADINGS,
	formatComparison,
	formatIdle,
	formatRow,
	formatScenarioComparison,
} from "./report.ts";
import { type Findings, measureAll, ratioTo } from "./rounds.ts";
import {
	computeGrowth,
	explainSlowest,
	GROWTH_LIMIT_PERCENT,
	NORMAL_SIZE,
	scaleScenarios,
} from "./scale.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import type { Shop } from "./shop.ts";
import { formatPruning, soak } from "./soak.ts";
import { explainRequests, formatExplanation, type Timed } from "./stalls.ts";
import type { Target } from "./target.ts";
import type { BenchmarkEnvironment } from "./targets.ts";

/** Output of a run. */
interface Output {
	/** Prints a line. */
	print(text: string): void;
	/** Replaces the progress line. */
	progress(text: string): void;
}
/** Result of a run. */
export interface RunResult {
	readonly findings: Findings;
	/** Additional properties of the JSON file. */
	readonly extraJson?: object;
	/** Additional charts of the result page, as HTML. */
	readonly charts?: string;
}
type Run = (
	options: Options,
	environment: BenchmarkEnvironment,
	output: Output,
) => Promise<RunResult>;

/** Measures a shop next to another revision (`--vs`) and the floor. */
const runComparison: Run = async (options, environment, { print, progress }) => {
	const targets: Target[] = [await environment.startShop("shop", options.size)];
	if (options.vs) targets.push(await environment.startShop(options.vs, options.size, options.vs));
	if (options.floor) targets.push(await environment.startFloor(options.size));
	print(COLUMN_HEADINGS);
	const findings = await measureAll(targets, {
		...options,
		onProgress: progress,
		onRow: (row, all) => print(formatRow(row, all)),
		...profilingHook(options, print),
	});
	for (const text of formatIdle(findings.idle)) print(text);
	if (options.vs)
		print(
			[
				"",
				`shop compared with ${options.vs}`,
				...formatComparison(findings.rows, "shop", options.vs),
			].join("\n"),
		);
	if (options.base)
		print(
			[
				"",
				`Compared with ${options.base}`,
				...formatScenarioComparison(findings.rows, options.base),
			].join("\n"),
		);
	if (options.noise) printLoginNoise(findings, print);
	return { findings };
};

const profilingHook = ({ profile, slowest }: Options, print: Output["print"]) => ({
	async afterEach(target: Target, requests: readonly Timed[]) {
		if (profile) await printSlowestStatements(target, print);
		if (slowest) await printSlowestRequests(target, requests, print);
	},
});
async function printSlowestRequests(
	{ name, readStalls }: Target,
	requests: readonly Timed[],
	print: Output["print"],
): Promise<void> {
	if (!readStalls) return;
	print(name);
	for (const line of formatExplanation(explainRequests(requests, await readStalls()))) print(line);
}
async function printSlowestStatements(
	{ databases }: Target,
	print: Output["print"],
): Promise<void> {
	for (const [server, names] of databases) {
		for (const {
			database,
			calls,
			ms,
			mean_us,
			pages_read,
			full_page_images,
			query,
		} of await slowestStatements(server, names)) {
			const perCall =
				`${String(calls).padStart(8)} x ${String(mean_us).padStart(6)} us, ` +
				`${pages_read.toFixed(1)} pages read, ${full_page_images.toFixed(1)} full-page images`;
			print(`${String(ms).padStart(8)} ms  ${perCall}  ${database}: ${query.slice(0, 90)}`);
		}
		await resetStatements(server);
	}
}

function printLoginNoise({ rows }: Findings, print: Output["print"]): void {
	for (const alone of rows.filter(
		({ target, scenario }) => target === "shop" && scenario === "product",
	)) {
		const during = rows.find(
			({ scenario, buyers, offered }) =>
				scenario === "product-during-logins" &&
				buyers === alone.buyers &&
				offered === alone.offered,
		)!;
		const [before, after] = [alone.median.p99, during.median.p99];
		const { clients } = scenarios["product-during-logins"]!.background!;
		print(
			`p99 of products, ${alone.buyers} buyers: ${before.toFixed(2)} ms alone, ` +
				`${after.toFixed(2)} ms while ${clients} clients log in: ` +
				`${ratioTo(alone, during, ({ p99 }) => p99).toFixed(2)}x (goal: 2x at most)`,
		);
	}
}

/** Measures the same operations on normal and on large tables, alternately. */
const runScale: Run = async (options, environment, { print, progress }) => {
	const [normal, large] = [
		await environment.startShop("normal", NORMAL_SIZE),
		await environment.startShop("large", options.size),
	];
	const auditors = await Promise.all([normal, large].map(openAuditClient));
	const scenariosOf = (target: Target): Readonly<Record<string, Scenario>> => ({
		...scaleScenarios,
		...auditors.find(({ shop }) => shop === target)?.audit,
	});
	print(COLUMN_HEADINGS);
	try {
		const findings = await measureAll([normal, large], {
			...options,
			extraScenarios: scenariosOf,
			onProgress: progress,
			onRow: (row, all) => print(formatRow(row, all)),
			...profilingHook(options, print),
		});
		const growths = computeGrowth(findings.rows, "normal", "large");
		const { products, orders } = options.size;
		print(
			`\nOn ${products} products and ${orders} orders compared with ${NORMAL_SIZE.products} ` +
				`and ${NORMAL_SIZE.orders} (goal: CPU growth below ${GROWTH_LIMIT_PERCENT} %)`,
		);
		for (const { scenario, cpu, p50 } of growths) {
			const verdict = cpu < GROWTH_LIMIT_PERCENT ? "" : "NOT FLAT";
			const percentages = `CPU ${formatPercent(cpu)}   p50 ${formatPercent(p50)}`;
			print(`${scenario.padEnd(15)} ${percentages}   ${verdict}`);
		}
		const plans: Record<string, string> = {};
		for (const { scenario } of growths.filter(({ cpu }) => cpu >= GROWTH_LIMIT_PERCENT)) {
			progress(`Explaining ${scenario} …`);
			plans[scenario] = await explainSlowest(large, scenariosOf(large)[scenario]!);
			print(`\nMost expensive statement of ${scenario} on the large tables:\n${plans[scenario]}`);
		}
		return { findings, extraJson: { growth: growths, plans } };
	} finally {
		for (const { stop } of auditors) await stop();
	}
};
const formatPercent = (percent: number) =>
	`${percent >= 0 ? "+" : ""}${percent.toFixed(0)} %`.padStart(8);

interface AuditClient {
	readonly shop: Shop;
	readonly audit: Readonly<Record<string, Scenario>>;
	stop(): Promise<void>;
}
async function openAuditClient(shop: Shop): Promise<AuditClient> {
	if (!shop.cluster) return { shop, audit: {}, stop: async () => undefined };
	const { call, stop } = await joinCluster(shop.cluster);
	const { server, database } = shop.serviceDatabases.find(({ service }) => service === "orders")!;
	const beforeNewest = async () =>
		(
			await server.query<{ id: string }>(
				database,
				"select id from orders order by id desc offset 1 limit 1",
			)
		)[0]!.id;
	return { shop, audit: { audit: auditScenario(call, beforeNewest) }, stop };
}

/** Applies a steady load for a long time (`--minutes`). */
const runSoak: Run = async (options, environment, { print, progress }) => {
	const shop = await environment.startShop("shop", options.size);
	const minutes = options.minutes!;
	progress(`${minutes} minutes of load …`);
	const result = await soak(shop, {
		minutes,
		rate: options.rates[0]!,
		buyers: options.buyers[0]!,
		onSample: ({ minutes, rss, rows, p99, errors }) => {
			const memory = Object.entries(rss).map(([group, mb]) => `${group} ${mb.toFixed(0)}`);
			const tables = Object.entries(rows).map(([table, n]) => `${table} ${n}`);
			print(
				`${minutes.toFixed(1).padStart(6)} min  p99 ${p99.toFixed(1)} ms, ` +
					`${errors} errors  MB: ${memory.join(", ")}  rows: ${tables.join(", ")}`,
			);
		},
	});
	print("\nMemory growth in the second half, MB per hour:");
	print(
		Object.entries(result.growth)
			.map(([group, mb]) => `${group} ${mb >= 0 ? "+" : ""}${mb.toFixed(1)}`)
			.join(", "),
	);
	print(`\nPruned tables:\n${formatPruning(result).join("\n")}`);
	const overTime = (pick: "rss" | "rows") =>
		Object.keys(result.samples[0]![pick]).map((name) => ({
			name,
			points: result.samples.map((sample) => ({ x: sample.minutes, y: sample[pick][name]! })),
		}));
	const lines =
		lineChart("Memory", "MB", overTime("rss")) + lineChart("Rows", "rows", overTime("rows"));
	const charts = `<section><h2>Over time</h2>${lines}</section>`;
	const findings = {
		rows: [],
		idle: {},
		violations: result.violations,
		checked: { shop: result.orders },
	};
	return { findings, extraJson: { soak: result }, charts };
};

/** Imports a file (`--import`), into one shop after the other. */
const runImport: Run = async (options, environment, { print, progress }) => {
	const { rates, buyers, seconds, size, vs } = options;
	const targets = [await environment.startShop("shop", size)];
	if (vs) targets.push(await environment.startShop(vs, size, vs));
	const results: ImportResult[] = [];
	for (const target of targets) {
		const load = { rows: options.import!, rate: rates[0]!, buyers: buyers[0]!, seconds };
		const result = await measureImport(target, { ...load, onProgress: progress });
		results.push(result);
		print(formatImport(result));
	}
	const violations = results.flatMap((result) =>
		result.violations.map((violation) => `${result.target}: ${violation}`),
	);
	const findings = { rows: [], idle: {}, violations, checked: {} };
	return { findings, extraJson: { import: results } };
};

/** Returns the run that the options select. */
export const selectRun = ({ scale: large, minutes, import: rows }: Options): Run =>
	large ? runScale : rows ? runImport : minutes === undefined ? runComparison : runSoak;
