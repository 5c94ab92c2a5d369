import { readFile, stat } from "node:fs/promises";
import { setTimeout as after } from "node:timers/promises";
import { percentChange } from "./figures.ts";
import { Meter, sum } from "./measure.ts";
import { rareWord, type SeedHistory } from "./past.ts";
import type { Row } from "./rounds.ts";
import { type Scenario, type ScenarioData, scenarios, spread } from "./scenarios.ts";
import type { Target } from "./target.ts";

/** What there is on normal tables. One process keeps all of these products near, so how flat reads are shows in a cluster, which caches nothing here. */
export const NORMAL_SIZE = { products: 10_000, users: 200, orders: 20_000 };
/** By how much an operation may cost more on large tables. */
export const GROWTH_LIMIT_PERCENT = 20;

const getAsBuyer = (world: ScenarioData, path: (world: ScenarioData, n: number) => string): ReturnType<Scenario["operation"]> => {
	const { tokens } = world;
	return (connection, n) => connection.request("GET", path(world, n), { token: tokens[spread(tokens.length, n)] });
};
/** Order `n` of the buyer who holds token `n`. */
function pastOrderId({ history, tokens }: ScenarioData, n: number): string {
	const { users, orders } = history.size;
	const each = Math.floor(orders / users);
	return history.id("order", spread(tokens.length, n) + users * spread(each, n));
}
/** Another page each time, from the first `span` products, so that a page that is kept for ten seconds is seldom the answer. */
const pageQuery = (n: number, span: number) => `limit=${20 + (n % 21)}&skip=${spread(span, n)}`;
const get =
	(path: (history: SeedHistory, n: number) => string): Scenario["operation"] =>
	({ history }) =>
	(connection, n) =>
		connection.request("GET", path(history, n));

/** What may get slower as tables grow. Every page is another one, or the cache would answer. */
export const scaleScenarios: Readonly<Record<string, Scenario>> = {
	product: scenarios.product!,
	list: { description: "a page near the beginning", operation: get((_, n) => `/api/products?${pageQuery(n, 800)}`) },
	"list-deep": {
		description: "a page behind a product that nine tenths of the catalogue come before",
		operation: get((history, n) => {
			const at = Math.floor(history.size.products * 0.9) + spread(Math.floor(history.size.products / 20), n);
			return `/api/products?limit=${20 + (n % 21)}&after=${history.id("product", at)}`;
		}),
	},
	"list-category": {
		description: "a page of a tenth of the catalogue",
		operation: get((_, n) => `/api/products?category=Category%20${n % 10}&${pageQuery(n, 80)}`),
	},
	"list-price": {
		description: "the same by price",
		operation: get((_, n) => `/api/products?category=Category%20${n % 10}&sort=price&${pageQuery(n, 80)}`),
	},
	search: { description: "a word that an eighth has", operation: get((_, n) => `/api/products?q=oak&${pageQuery(n, 100)}`) },
	"search-rare": {
		description: "a word that ten products have",
		operation: get(
			({ size }, n) => `/api/products?q=${rareWord(spread(size.products, n))}&min_price=${(n % 900) / 100}&limit=${20 + (n % 21)}`,
		),
	},
	order: scenarios.order!,
	"order-get": {
		description: "a history order",
		operation: (world) => getAsBuyer(world, (world, n) => `/api/orders/${pastOrderId(world, n)}`),
	},
	"orders-mine": { description: "a buyer's newest orders", operation: (world) => getAsBuyer(world, () => "/api/orders?limit=20") },
	timeline: {
		description: "what every service knows of a history order",
		operation: (world) => getAsBuyer(world, (world, n) => `/api/orders/${pastOrderId(world, n)}/timeline`),
	},
};

/** How much more each operation costs on the large tables, in percent. */
export interface Growth {
	readonly scenario: string;
	readonly buyers: number;
	readonly cpu: number;
	readonly p50: number;
}
export function computeGrowth(rows: readonly Row[], normal: string, large: string): Growth[] {
	return rows
		.filter(({ target }) => target === large)
		.map(({ scenario, buyers, median: after }) => {
			const before = rows.find((row) => row.target === normal && row.scenario === scenario && row.buyers === buyers)!.median;
			return { scenario, buyers, cpu: percentChange(sum(before.cpu), sum(after.cpu)), p50: percentChange(before.p50, after.p50) };
		});
}

/** The plans, as Postgres carried them out, of what one operation makes it do. */
export async function explainSlowest(target: Target, scenario: Scenario): Promise<string> {
	const servers = [...target.databases.keys()];
	const set = async (...settings: string[]) => {
		for (const server of servers) {
			for (const setting of settings) await server.query("postgres", `alter system ${setting}`);
			await server.query("postgres", "select pg_reload_conf()");
		}
		// Sessions hear of it before their next statement.
		await after(500);
	};
	const begun = await Promise.all(servers.map(({ log }) => stat(log).then(({ size }) => size)));
	await set("set auto_explain.log_min_duration = '0.2ms'", "set auto_explain.log_analyze = on", "set auto_explain.log_buffers = on");
	await new Meter(target).measure({ scenario, buyers: 1, seconds: 0.2, warmup: 0 });
	await set("reset auto_explain.log_min_duration", "reset auto_explain.log_analyze", "reset auto_explain.log_buffers");
	const plans = await Promise.all(
		servers.map(async ({ log, user }, n) =>
			parsePlans((await readFile(log)).subarray(begun[n]).toString()).filter((plan) => plan.user !== user),
		),
	);
	// What took longest in all, and of that the slowest.
	const statements = [...Map.groupBy(plans.flat(), ({ statement }) => statement).values()];
	const total = (all: readonly Plan[]) => all.reduce((sum, { ms }) => sum + ms, 0);
	const [worst = []] = statements.toSorted((a, b) => total(b) - total(a));
	const [slowest] = worst.toSorted((a, b) => b.ms - a.ms);
	return slowest?.text ?? "No statement took a fifth of a millisecond.";
}

interface Plan {
	readonly user: string;
	readonly ms: number;
	/** The beginning of it, with which it is told from others. */
	readonly statement: string;
	readonly text: string;
}
/** The plans in a log of Postgres whose lines begin with the user. */
export function parsePlans(log: string): Plan[] {
	return log.split(/\n(?!\t)/).flatMap((text) => {
		const [, user, ms] = /^(\S+) LOG: {2}duration: ([\d.]+) ms {2}plan:/.exec(text) ?? [];
		const statement = /Query Text: (.{0,60})/.exec(text)?.[1] ?? "";
		return user ? [{ user, ms: Number(ms), statement, text }] : [];
	});
}
