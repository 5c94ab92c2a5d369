import { readFile, stat } from "node:fs/promises";
import { setTimeout as after } from "node:timers/promises";
import { Meter } from "./measure.ts";
import { findRow, meanCpu, type Row, ratioTo } from "./rounds.ts";
import { type Scenario, type ScenarioData, scenarios, spread } from "./scenarios.ts";
import { COMMON_WORDS, rareWord, type SeedHistory } from "./seed-history.ts";
import type { Target } from "./target.ts";

/**
 * Seed sizes of the normal shop. An embedded shop caches all of these products in memory; only a
 * cluster, which runs without a cache here, shows how reads scale.
 */
export const NORMAL_SIZE = { products: 10_000, users: 200, orders: 20_000, carts: 0 };
/** Limit for the additional CPU time of an operation on large tables. */
export const GROWTH_LIMIT_PERCENT = 20;

const getAsBuyer = (
	data: ScenarioData,
	path: (data: ScenarioData, n: number) => string,
): ReturnType<Scenario["operation"]> => {
	const { tokens } = data;
	return (connection, n) =>
		connection.request("GET", path(data, n), { token: tokens[spread(tokens.length, n)] });
};
/** Returns the id of a seed order of the buyer with token `n`. */
function seedOrderId({ history, tokens }: ScenarioData, n: number): string {
	const { users, orders } = history.size;
	const ordersPerBuyer = Math.floor(orders / users);
	return history.id("order", spread(tokens.length, n) + users * spread(ordersPerBuyer, n));
}
/** Page within the first `span` products. It varies, so that cached pages are seldom hit. */
const pageQuery = (n: number, span: number) => `limit=${20 + (n % 21)}&skip=${spread(span, n)}`;
/** A common word with two letters exchanged. */
function misspelled(n: number): string {
	const word = COMMON_WORDS[n % COMMON_WORDS.length]!;
	return `${word.slice(0, -2)}${word.at(-1)}${word.at(-2)}`;
}
const facetFilter = (n: number): string =>
	["", `&category=Category%20${n % 10}`, `&attr.material=${COMMON_WORDS[n % COMMON_WORDS.length]}`][
		n % 3
	]!;
const get =
	(path: (history: SeedHistory, n: number) => string): Scenario["operation"] =>
	({ history }) =>
	(connection, n) =>
		connection.request("GET", path(history, n));

/** Operations whose cost may depend on table sizes. Pages vary, so that caches do not hide it. */
export const scaleScenarios: Readonly<Record<string, Scenario>> = {
	product: scenarios.product!,
	list: {
		description: "page near the start of the catalogue",
		operation: get((_, n) => `/api/products?${pageQuery(n, 800)}`),
	},
	"list-deep": {
		description: "page after nine tenths of the catalogue (keyset pagination)",
		operation: get((history, n) => {
			const at =
				Math.floor(history.size.products * 0.9) + spread(Math.floor(history.size.products / 20), n);
			return `/api/products?limit=${20 + (n % 21)}&after=${history.id("product", at)}`;
		}),
	},
	"list-category": {
		description: "page of a category with one tenth of the catalogue",
		operation: get((_, n) => `/api/products?category=Category%20${n % 10}&${pageQuery(n, 80)}`),
	},
	"list-price": {
		description: "page of a category, sorted by price",
		operation: get(
			(_, n) => `/api/products?category=Category%20${n % 10}&sort=price&${pageQuery(n, 80)}`,
		),
	},
	search: {
		description: "search for a word in one eighth of the products",
		operation: get((_, n) => `/api/products?q=oak&${pageQuery(n, 100)}`),
	},
	"search-rare": {
		description: "search for a word in ten products",
		operation: get(({ size }, n) => {
			const word = rareWord(spread(size.products, n));
			return `/api/products?q=${word}&min_price=${(n % 900) / 100}&limit=${20 + (n % 21)}`;
		}),
	},
	misspelled: {
		description: "search for a misspelled word, which is replaced by the closest known one",
		operation: get((_, n) => `/api/products?q=${misspelled(n)}&${pageQuery(n, 100)}`),
	},
	facets: {
		description: "facets of the catalogue, of a category, and of an attribute",
		operation: get((_, n) => `/api/products/facets?min_price=${(n % 900) / 100}${facetFilter(n)}`),
	},
	order: scenarios.order!,
	"order-get": {
		description: "one seed order by id",
		operation: (data) => getAsBuyer(data, (data, n) => `/api/orders/${seedOrderId(data, n)}`),
	},
	"orders-mine": {
		description: "newest orders of a buyer",
		operation: (data) => getAsBuyer(data, () => "/api/orders?limit=20"),
	},
	timeline: {
		description: "timeline of a seed order, from all services",
		operation: (data) =>
			getAsBuyer(data, (data, n) => `/api/orders/${seedOrderId(data, n)}/timeline`),
	},
};

/** Additional cost of an operation on the large tables, in percent. */
interface Growth {
	readonly scenario: string;
	readonly buyers: number;
	readonly cpu: number;
	readonly p50: number;
}
/** Compares CPU time and median latency of two targets by scenario. */
export function computeGrowth(rows: readonly Row[], normal: string, large: string): Growth[] {
	return rows
		.filter(({ target }) => target === large)
		.map((row) => {
			const { scenario, buyers } = row;
			const base = findRow(rows, normal, row)!;
			const growth = (ratio: number) => (ratio - 1) * 100;
			return {
				scenario,
				buyers,
				cpu: growth(meanCpu(row) / meanCpu(base)),
				p50: growth(ratioTo(base, row, ({ p50 }) => p50)),
			};
		});
}

/** Runs a scenario with auto_explain and returns the plan of its most expensive statement. */
export async function explainSlowest(target: Target, scenario: Scenario): Promise<string> {
	const servers = [...target.databases.keys()];
	const configure = async (...settings: string[]) => {
		for (const server of servers) {
			for (const setting of settings) await server.query("postgres", `alter system ${setting}`);
			await server.query("postgres", "select pg_reload_conf()");
		}
		// Sessions reload the configuration before their next statement.
		await after(500);
	};
	const logOffsets = await Promise.all(
		servers.map(({ log }) => stat(log).then(({ size }) => size)),
	);
	await configure(
		"set auto_explain.log_min_duration = '0.2ms'",
		"set auto_explain.log_analyze = on",
		"set auto_explain.log_buffers = on",
	);
	await new Meter(target).measure({ scenario, buyers: 1, seconds: 0.2, warmup: 0 });
	await configure(
		"reset auto_explain.log_min_duration",
		"reset auto_explain.log_analyze",
		"reset auto_explain.log_buffers",
	);
	const plans = await Promise.all(
		servers.map(async ({ log, user }, n) =>
			parsePlans((await readFile(log)).subarray(logOffsets[n]).toString()).filter(
				(plan) => plan.user !== user,
			),
		),
	);
	// The slowest execution of the statement with the highest total time.
	const statements = [...Map.groupBy(plans.flat(), ({ statement }) => statement).values()];
	const total = (all: readonly Plan[]) => all.reduce((sum, { ms }) => sum + ms, 0);
	const [worst = []] = statements.toSorted((a, b) => total(b) - total(a));
	const [slowest] = worst.toSorted((a, b) => b.ms - a.ms);
	return slowest?.text ?? "No statement took 0.2 ms or more.";
}

interface Plan {
	readonly user: string;
	readonly ms: number;
	/** First 60 characters of the statement, which identify it. */
	readonly statement: string;
	readonly text: string;
}
/** Parses the plans in a Postgres log whose lines start with the user name and a time. */
export function parsePlans(log: string): Plan[] {
	return log.split(/\n(?!\t)/).flatMap((text) => {
		const [, user, ms] = /^(\S+) [\d.]+ LOG: {2}duration: ([\d.]+) ms {2}plan:/.exec(text) ?? [];
		const statement = /Query Text: (.{0,60})/.exec(text)?.[1] ?? "";
		return user ? [{ user, ms: Number(ms), statement, text }] : [];
	});
}
