import type { Figures } from "./measure.ts";

/** CPU milliseconds per order by component, and writing transactions per order. */
export interface OrderCost {
	readonly gateway: number;
	/** Sum over all services. */
	readonly services: number;
	readonly postgres: number;
	readonly nats: number;
	readonly redis: number;
	readonly commits: number;
}
/** Planned average CPU utilization. The rest is headroom for peaks and for the loss of a node. */
const TARGET_UTILIZATION = 0.6;
/** CPU cores per machine, by component. */
const CORES_PER_MACHINE = { node: 2, postgres: 32, nats: 8, redis: 1 } as const;

/** Sums the measured CPU time per order by component. */
export function costPerOrder({ cpu, commits }: Figures): OrderCost {
	const { gateway = 0, nats = 0, redis = 0, ...rest } = cpu;
	const isPostgres = (name: string) => name.startsWith("postgres");
	const sum = (includes: (name: string) => boolean) =>
		Object.entries(rest)
			.filter(([name]) => includes(name))
			.reduce((total, [, ms]) => total + ms, 0);
	return {
		gateway,
		services: sum((name) => !isPostgres(name)),
		postgres: sum(isPostgres),
		nats,
		redis,
		commits,
	};
}

/** Cores for `rate` orders per second: rate × milliseconds ÷ 1000 ÷ TARGET_UTILIZATION. */
export const requiredCores = (rate: number, ms: number): number =>
	(rate * ms) / 1000 / TARGET_UTILIZATION;
/** Machines with `coresEach` cores for `rate` orders per second, at least one. */
export const requiredMachines = (rate: number, ms: number, coresEach: number): number =>
	Math.max(1, Math.ceil(requiredCores(rate, ms) / coresEach));

const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
const formatNumber = (n: number) =>
	n >= 10 ? Math.ceil(n).toLocaleString("en") : n.toFixed(n >= 1 ? 1 : 2);

/** Formats the cost per order and the required machines at each rate, as in docs/scaling.md. */
export function formatTables(cost: OrderCost, rates: readonly number[]): string {
	const parts = [
		["gateway", cost.gateway, CORES_PER_MACHINE.node],
		["services", cost.services, CORES_PER_MACHINE.node],
		["Postgres", cost.postgres, CORES_PER_MACHINE.postgres],
		["NATS", cost.nats, CORES_PER_MACHINE.nats],
		["Redis", cost.redis, CORES_PER_MACHINE.redis],
	] as const;
	const rule = (n: number) => row(["---", ...Array<string>(n).fill("---:")]);
	const needed = ([name, ms, each]: (typeof parts)[number]) =>
		row([
			`${name}, of ${each} cores`,
			...rates.map(
				(rate) => `${formatNumber(requiredCores(rate, ms))} → ${requiredMachines(rate, ms, each)}`,
			),
		]);
	return [
		row(["an order costs", "ms of CPU"]),
		rule(1),
		...parts.map(([name, ms]) => row([name, ms.toFixed(3)])),
		row(["writing transactions", cost.commits.toFixed(2)]),
		"",
		row(["cores → machines at", ...rates.map((rate) => `${rate.toLocaleString("en")}/s`)]),
		rule(rates.length),
		...parts.map(needed),
		row([
			"writing transactions per second",
			...rates.map((rate) => Math.ceil(rate * cost.commits).toLocaleString("en")),
		]),
	].join("\n");
}
