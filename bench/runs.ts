import { auditOne, joinCluster } from "./auditor.ts";
import type { Options } from "./options.ts";
import { lines } from "./page.ts";
import { forgetStatements, slowest } from "./postgres.ts";
import { comparison, HEADLINE, line, resting } from "./report.ts";
import { type Findings, measureAll } from "./rounds.ts";
import { explain, GOAL, growth, NORMAL, scaleScenarios } from "./scale.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import type { Shop } from "./shop.ts";
import { prunings, soak } from "./soak.ts";
import type { Target } from "./target.ts";
import type { Site } from "./targets.ts";

/** Where a run tells how it goes. */
export interface Voice {
	/** A line that stays. */
	print(text: string): void;
	/** What is going on at this moment. */
	progress(text: string): void;
}
/** What a run found, what belongs into its JSON besides, and into its page. */
export interface Result {
	readonly findings: Findings;
	readonly more?: object;
	readonly figures?: string;
}
type Run = (options: Options, site: Site, voice: Voice) => Promise<Result>;

/** A shop, perhaps another revision of it, and the floor. */
const compare: Run = async (options, site, { print, progress }) => {
	const targets: Target[] = [await site.shop("shop", options.size)];
	if (options.vs) targets.push(await site.shop(options.vs, options.size, options.vs));
	if (options.floor) targets.push(await site.floor(options.size));
	print(HEADLINE);
	const findings = await measureAll(targets, {
		...options,
		onProgress: progress,
		onRow: (row, all) => print(line(row, all)),
		...profiling(options, print),
	});
	for (const text of resting(findings.idle)) print(text);
	if (options.vs) print(["", `shop against ${options.vs}`, ...comparison(findings.rows, "shop", options.vs)].join("\n"));
	if (options.noise) printNoise(findings, print);
	return { findings };
};

const profiling = (options: Options, print: Voice["print"]) =>
	options.profile ? { afterEach: (target: Target) => profile(target, print) } : {};
async function profile({ databases }: Target, print: Voice["print"]): Promise<void> {
	for (const [server, names] of databases) {
		for (const { database, calls, ms, mean_us, read, whole, query } of await slowest(server, names)) {
			const each = `${String(calls).padStart(8)} x ${String(mean_us).padStart(6)} us, ${read.toFixed(1)} pages read, ${whole.toFixed(1)} logged whole`;
			print(`${String(ms).padStart(8)} ms  ${each}  ${database}: ${query.slice(0, 90)}`);
		}
		await forgetStatements(server);
	}
}

function printNoise({ rows }: Findings, print: Voice["print"]): void {
	for (const alone of rows.filter(({ target, scenario }) => target === "shop" && scenario === "product")) {
		const during = rows.find(
			({ scenario, buyers, offered }) => scenario === "product-during-logins" && buyers === alone.buyers && offered === alone.offered,
		)!;
		const times = during.median.p99 / alone.median.p99;
		print(
			`p99 of products, ${alone.buyers} buyers: ${alone.median.p99.toFixed(2)} ms alone, ${during.median.p99.toFixed(2)} ms while ` +
				`${scenarios["product-during-logins"]!.beside!.clients} clients log in: ${times.toFixed(2)}x (goal: 2x at most)`,
		);
	}
}

/** The same operations on normal and on large tables, in turn. */
const scale: Run = async (options, site, { print, progress }) => {
	const [normal, large] = [await site.shop("normal", NORMAL), await site.shop("large", options.size)];
	const auditors = await Promise.all([normal, large].map(openAuditor));
	const scenariosOf = (target: Target): Readonly<Record<string, Scenario>> => ({
		...scaleScenarios,
		...auditors.find(({ shop }) => shop === target)?.audit,
	});
	print(HEADLINE);
	try {
		const findings = await measureAll([normal, large], {
			...options,
			more: scenariosOf,
			onProgress: progress,
			onRow: (row, all) => print(line(row, all)),
			...profiling(options, print),
		});
		const grown = growth(findings.rows, "normal", "large");
		const { products, orders } = options.size;
		print(
			`\nOn ${products} products and ${orders} orders instead of ${NORMAL.products} and ${NORMAL.orders} (goal: less than ${GOAL} % more)`,
		);
		for (const { scenario, cpu, p50 } of grown)
			print(`${scenario.padEnd(15)} CPU ${signed(cpu)}   p50 ${signed(p50)}   ${cpu < GOAL ? "" : "NOT FLAT"}`);
		const plans: Record<string, string> = {};
		for (const { scenario } of grown.filter(({ cpu }) => cpu >= GOAL)) {
			progress(`Why is ${scenario} not flat?`);
			plans[scenario] = await explain(large, scenariosOf(large)[scenario]!);
			print(`\nThe slowest statement of ${scenario} on the large tables:\n${plans[scenario]}`);
		}
		return { findings, more: { growth: grown, plans } };
	} finally {
		for (const { stop } of auditors) await stop();
	}
};
const signed = (percent: number) => `${percent >= 0 ? "+" : ""}${percent.toFixed(0)} %`.padStart(8);

interface Auditor {
	readonly shop: Shop;
	readonly audit: Readonly<Record<string, Scenario>>;
	stop(): Promise<void>;
}
async function openAuditor(shop: Shop): Promise<Auditor> {
	if (!shop.cluster) return { shop, audit: {}, stop: async () => undefined };
	const { call, stop } = await joinCluster(shop.cluster);
	const { server, database } = shop.places.find(({ service }) => service === "orders")!;
	const beforeNewest = async () =>
		(await server.query<{ id: string }>(database, "select id from orders order by id desc offset 1 limit 1"))[0]!.id;
	return { shop, audit: { audit: auditOne(call, beforeNewest) }, stop };
}

/** A steady load for a long time. */
const endure: Run = async (options, site, { print, progress }) => {
	const shop = await site.shop("shop", options.size);
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
				`${minutes.toFixed(1).padStart(6)} min  p99 ${p99.toFixed(1)} ms, ${errors} errors  MB: ${memory.join(", ")}  rows: ${tables.join(", ")}`,
			);
		},
	});
	print("\nMemory in the second half, MB per hour:");
	print(
		Object.entries(result.growth)
			.map(([group, mb]) => `${group} ${mb >= 0 ? "+" : ""}${mb.toFixed(1)}`)
			.join(", "),
	);
	print(`\nTables that are pruned:\n${prunings(result).join("\n")}`);
	const overTime = (pick: "rss" | "rows") =>
		Object.keys(result.samples[0]![pick]).map((name) => ({
			name,
			points: result.samples.map((sample) => ({ x: sample.minutes, y: sample[pick][name]! })),
		}));
	const figures = `<section><h2>Over time</h2>${lines("Memory", "MB", overTime("rss"))}${lines("Rows", "rows", overTime("rows"))}</section>`;
	const findings = { rows: [], idle: {}, violations: result.violations, checked: { shop: result.orders } };
	return { findings, more: { soak: result }, figures };
};

/** The run that these options ask for. */
export const runOf = ({ scale: large, minutes }: Options): Run => (large ? scale : minutes === undefined ? compare : endure);
