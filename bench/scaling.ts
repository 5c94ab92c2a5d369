import type { Figures } from "./measure.ts";

/** Processor time of one order in milliseconds, by who spends it, and how often it makes Postgres wait for its disk. */
export interface Cost {
	readonly gateway: number;
	/** All services together. */
	readonly services: number;
	readonly postgres: number;
	readonly nats: number;
	readonly redis: number;
	readonly commits: number;
}
/** How busy a processor may be on average, so that there is room for peaks and for the loss of a node. */
export const BUSY = 0.6;
/** Processors of a node of the shop, of a database server and of a NATS server. */
export const CORES = { node: 2, postgres: 32, nats: 8, redis: 1 } as const;

export function costOf({ cpu, commits }: Figures): Cost {
	const { gateway = 0, nats = 0, redis = 0, ...rest } = cpu;
	const isPostgres = (name: string) => name.startsWith("postgres");
	const sum = (wanted: (name: string) => boolean) =>
		Object.entries(rest)
			.filter(([name]) => wanted(name))
			.reduce((total, [, ms]) => total + ms, 0);
	return { gateway, services: sum((name) => !isPostgres(name)), postgres: sum(isPostgres), nats, redis, commits };
}

/** Processors that `rate` orders per second keep busy: rate × milliseconds ÷ 1000 ÷ BUSY. */
export const cores = (rate: number, ms: number): number => (rate * ms) / 1000 / BUSY;
/** Machines with so many processors each, at least one. */
export const machines = (rate: number, ms: number, each: number): number => Math.max(1, Math.ceil(cores(rate, ms) / each));

const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
const short = (n: number) => (n >= 10 ? Math.ceil(n).toLocaleString("en") : n.toFixed(n >= 1 ? 1 : 2));

/** The cost of an order, and what it comes to at some rates, as the tables of docs/scaling.md. */
export function tables(cost: Cost, rates: readonly number[]): string {
	const parts = [
		["gateway", cost.gateway, CORES.node],
		["services", cost.services, CORES.node],
		["Postgres", cost.postgres, CORES.postgres],
		["NATS", cost.nats, CORES.nats],
		["Redis", cost.redis, CORES.redis],
	] as const;
	const rule = (n: number) => row(["---", ...Array<string>(n).fill("---:")]);
	const needed = ([name, ms, each]: (typeof parts)[number]) =>
		row([`${name}, of ${each} cores`, ...rates.map((rate) => `${short(cores(rate, ms))} → ${machines(rate, ms, each)}`)]);
	return [
		row(["an order costs", "ms of CPU"]),
		rule(1),
		...parts.map(([name, ms]) => row([name, ms.toFixed(3)])),
		row(["writing transactions", cost.commits.toFixed(2)]),
		"",
		row(["cores → machines at", ...rates.map((rate) => `${rate.toLocaleString("en")}/s`)]),
		rule(rates.length),
		...parts.map(needed),
		row(["writing transactions per second", ...rates.map((rate) => Math.ceil(rate * cost.commits).toLocaleString("en"))]),
	].join("\n");
}
