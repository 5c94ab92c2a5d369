import { expect, test } from "@jest/globals";
import type { Row } from "./rounds.ts";
import { computeGrowth, parsePlans } from "./scale.ts";

const row = (target: string, scenario: string, cpu: Record<string, number>, p50: number) =>
	({ target, scenario, buyers: 4, rounds: [{ cpu, p50 }] }) as unknown as Row;

test("computeGrowth compares the total CPU time of each scenario", () => {
	const rows = [
		row("normal", "list", { node: 1, postgres: 1 }, 2),
		row("large", "list", { node: 1, postgres: 2 }, 2),
		row("normal", "order", { node: 2 }, 4),
		row("large", "order", { node: 1 }, 8),
	];
	expect(computeGrowth(rows, "normal", "large")).toEqual([
		{ scenario: "list", buyers: 4, cpu: 50, p50: 0 },
		{ scenario: "order", buyers: 4, cpu: -50, p50: 100 },
	]);
});

test("parsePlans extracts each plan with its lines and its user", () => {
	const log = `
admin 1700000000.000 LOG:  received SIGHUP
products 1700000000.000 LOG:  duration: 0.310 ms  plan:
\tQuery Text: select 1
\tResult  (cost=0.00..0.01 rows=1 width=4)
admin 1700000000.000 LOG:  duration: 12.5 ms  plan:
\tQuery Text: select 2
products 1700000000.000 LOG:  something else`;
	expect(parsePlans(log)).toEqual([
		{
			user: "products",
			ms: 0.31,
			statement: "select 1",
			text: expect.stringMatching(/^products[\s\S]*rows=1 width=4\)$/),
		},
		{ user: "admin", ms: 12.5, statement: "select 2", text: expect.stringContaining("select 2") },
	]);
});
