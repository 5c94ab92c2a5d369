import { readFile, stat } from "node:fs/promises";
import { setTimeout as after } from "node:timers/promises";
import { change } from "./figures.ts";
import { Meter, sum } from "./measure.ts";
import { type Past, rareWord } from "./past.ts";
import type { Row } from "./rounds.ts";
import { pick, type Scenario, scenarios, type World } from "./scenarios.ts";
import type { Target } from "./target.ts";

/** What there is on normal tables. */
export const NORMAL = { products: 1000, users: 200, orders: 20_000 };
/** By how much an operation may cost more on large tables. */
export const GOAL = 20;

const own = (world: World, path: (world: World, n: number) => string): ReturnType<Scenario["operation"]> => {
	const { tokens } = world;
	return (connection, n) => connection.request("GET", path(world, n), { token: tokens[pick(tokens.length, n)] });
};
/** Order `n` of the buyer who holds token `n`. */
function orderOf({ past, tokens }: World, n: number): string {
	const { users, orders } = past.size;
	const each = Math.floor(orders / users);
	return past.id("order", pick(tokens.length, n) + users * pick(each, n));
}
/** Another page each time, from the first 2,000 products, so that a page that is kept for ten seconds is seldom the answer. */
const page = (n: number, from = 0) => `limit=${20 + (n % 21)}&skip=${from + pick(2000, n)}`;
const get =
	(path: (past: Past, n: number) => string): Scenario["operation"] =>
	({ past }) =>
	(connection, n) =>
		connection.request("GET", path(past, n));

/** What may get slower as tables grow. Every page is another one, or the cache would answer. */
export const scaleScenarios: Readonly<Record<string, Scenario>> = {
	product: scenarios.product!,
	list: { about: "a page near the beginning", operation: get((_, n) => `/api/products?${page(n)}`) },
	"list-deep": {
		about: "a page behind nine tenths of the catalogue",
		operation: get(({ size }, n) => `/api/products?${page(n, Math.floor(size.products * 0.9))}`),
	},
	"list-category": {
		about: "a page of a tenth of the catalogue",
		operation: get((_, n) => `/api/products?category=Category%20${n % 10}&${page(n)}`),
	},
	"list-price": {
		about: "the same by price",
		operation: get((_, n) => `/api/products?category=Category%20${n % 10}&sort=price&${page(n)}`),
	},
	search: { about: "a word that an eighth has", operation: get((_, n) => `/api/products?q=oak&${page(n)}`) },
	"search-rare": {
		about: "a word that ten products have",
		operation: get(({ size }, n) => `/api/products?q=${rareWord(pick(size.products, n))}&${page(0)}`),
	},
	order: scenarios.order!,
	"order-get": { about: "a past order", operation: (world) => own(world, (world, n) => `/api/orders/${orderOf(world, n)}`) },
	"orders-mine": { about: "a buyer's newest orders", operation: (world) => own(world, () => "/api/orders?limit=20") },
	timeline: {
		about: "what every service knows of a past order",
		operation: (world) => own(world, (world, n) => `/api/orders/${orderOf(world, n)}/timeline`),
	},
};

/** How much more each operation costs on the large tables, in percent. */
export interface Growth {
	readonly scenario: string;
	readonly buyers: number;
	readonly cpu: number;
	readonly p50: number;
}
export function growth(rows: readonly Row[], normal: string, large: string): Growth[] {
	return rows
		.filter(({ target }) => target === large)
		.map(({ scenario, buyers, median: after }) => {
			const before = rows.find((row) => row.target === normal && row.scenario === scenario && row.buyers === buyers)!.median;
			return { scenario, buyers, cpu: change(sum(before.cpu), sum(after.cpu)), p50: change(before.p50, after.p50) };
		});
}

/** The plans, as Postgres carried them out, of what one operation makes it do. */
export async function explain(target: Target, scenario: Scenario): Promise<string> {
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
	const logs = await Promise.all(servers.map(async ({ log }, n) => (await readFile(log)).subarray(begun[n]).toString()));
	return slowestPlan(logs.join("\n"));
}

/** Of all plans in a log of Postgres the one that took longest. */
export function slowestPlan(log: string): string {
	const plans = log.split(/^(?=\S.*duration: )/m).flatMap((text) => {
		const duration = /^\S.*duration: ([\d.]+) ms {2}plan:/.exec(text)?.[1];
		return duration ? [{ ms: Number(duration), text: text.split(/\n(?=\S)/)[0]! }] : [];
	});
	return plans.reduce((worst, plan) => (plan.ms > worst.ms ? plan : worst), { ms: -1, text: "" }).text;
}
