import { expect, test } from "@jest/globals";
import { type Cost, cores, costOf, machines, tables } from "./scaling.ts";

test("the cost of an order is told by who spends it, whatever the processes are", () => {
	const cpu = { gateway: 0.3, orders: 0.5, inventory: 0.2, nats: 0.4, redis: 0.1, "postgres-1": 0.6, "postgres-2": 0.4 };
	const cost = costOf({ cpu, commits: 1.5 } as unknown as Parameters<typeof costOf>[0]);
	const wanted: Cost = { gateway: 0.3, services: 0.7, postgres: 1, nats: 0.4, redis: 0.1, commits: 1.5 };
	for (const [name, ms] of Object.entries(wanted)) expect(cost[name as keyof Cost]).toBeCloseTo(ms);
});

test("a thousand orders of a millisecond keep one processor busy, which takes more than one to be on the safe side", () => {
	expect(cores(1000, 0.6)).toBeCloseTo(1);
	expect(machines(1000, 0.6, 2)).toBe(1);
	expect(machines(10_000, 0.6, 2)).toBe(5);
	expect(machines(1, 0, 2)).toBe(1);
});

test("the tables have a row for each part and a column for each rate", () => {
	const cost = { gateway: 0.3, services: 0.7, postgres: 1, nats: 0.4, redis: 0.1, commits: 1.5 };
	const text = tables(cost, [10, 100_000]);
	expect(text).toMatch(/^\| Postgres, of 32 cores \| 0\.02 → 1 \| 167 → 6 \|$/m);
	expect(text).toMatch(/^\| writing transactions per second \| 15 \| 150,000 \|$/m);
});
