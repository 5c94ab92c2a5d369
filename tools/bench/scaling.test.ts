import { expect, test } from "@jest/globals";
import {
	costPerOrder,
	formatTables,
	type OrderCost,
	requiredCores,
	requiredMachines,
} from "./scaling.ts";

test("costPerOrder sums CPU time by component, whatever the processes are named", () => {
	const cpu = {
		gateway: 0.3,
		orders: 0.5,
		inventory: 0.2,
		nats: 0.4,
		redis: 0.1,
		"postgres-1": 0.6,
		"postgres-2": 0.4,
	};
	const cost = costPerOrder({ cpu, commits: 1.5 } as unknown as Parameters<typeof costPerOrder>[0]);
	const expected: OrderCost = {
		gateway: 0.3,
		services: 0.7,
		postgres: 1,
		nats: 0.4,
		redis: 0.1,
		commits: 1.5,
	};
	for (const [name, ms] of Object.entries(expected))
		expect(cost[name as keyof OrderCost]).toBeCloseTo(ms);
});

test("requiredCores and requiredMachines plan for 60 % utilization", () => {
	expect(requiredCores(1000, 0.6)).toBeCloseTo(1);
	expect(requiredMachines(1000, 0.6, 2)).toBe(1);
	expect(requiredMachines(10_000, 0.6, 2)).toBe(5);
	expect(requiredMachines(1, 0, 2)).toBe(1);
});

test("the tables have a row for each component and a column for each rate", () => {
	const cost = { gateway: 0.3, services: 0.7, postgres: 1, nats: 0.4, redis: 0.1, commits: 1.5 };
	const text = formatTables(cost, [10, 100_000]);
	expect(text).toMatch(/^\| Postgres, of 32 cores \| 0\.02 → 1 \| 167 → 6 \|$/m);
	expect(text).toMatch(/^\| writing transactions per second \| 15 \| 150,000 \|$/m);
});
