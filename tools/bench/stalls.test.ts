import { expect, test } from "@jest/globals";
import { explainRequests, parsePostgresStalls, parseStalls, type Stall } from "./stalls.ts";

test("slow requests are compared with all requests by the stalls that they overlap with", () => {
	const requests = Array.from({ length: 100 }, (_, i) => ({ start: i * 10, end: i * 10 + 2 }));
	requests[40] = { start: 400, end: 430 };
	requests[70] = { start: 700, end: 720 };
	const stalls: Stall[] = [
		{ start: 405, end: 425, kind: "collection" },
		{ start: 0, end: 1000, kind: "vacuum" },
		{ start: 705, end: 705.1, kind: "too short" },
	];
	expect(explainRequests(requests, stalls, 0.02)).toEqual({
		from: 20,
		count: 2,
		overlaps: [
			{ kind: "vacuum", slow: 1, all: 1 },
			// Requests 41 and 42 run during the collection as well.
			{ kind: "collection", slow: 0.5, all: 0.03 },
		],
		unexplained: 0,
	});
	expect(explainRequests(requests, [], 0.02)).toMatchObject({ overlaps: [], unexplained: 1 });
});

test("a long stall is found behind shorter ones that start later", () => {
	const stalls = [
		{ start: 0, end: 100, kind: "block" },
		{ start: 10, end: 20, kind: "block" },
	];
	expect(explainRequests([{ start: 50, end: 60 }], stalls, 1).overlaps).toEqual([
		{ kind: "block", slow: 1, all: 1 },
	]);
});

test("the line that a recorder is writing is ignored", () => {
	const stall = { start: 1, end: 2, kind: "block" };
	expect(parseStalls(`${JSON.stringify(stall)}\n{"start":3,`)).toEqual([stall]);
	expect(parseStalls("")).toEqual([]);
});

test("slow statements and autovacuums are read from the log of Postgres", () => {
	const log = [
		"orders 1700000000.250 LOG:  duration: 12.500 ms  execute place: with drafts as (",
		"\tselect 1)",
		"\tDETAIL:  parameters",
		'postgres 1700000001.000 LOG:  automatic vacuum of table "orders.public.carts": index scans: 1',
		"\tsystem usage: CPU: user: 0.01 s, system: 0.00 s, elapsed: 0.50 s",
		"postgres 1700000002.000 LOG:  checkpoint starting: time",
		"",
	].join("\n");
	expect(parsePostgresStalls(log)).toEqual([
		{
			start: 1_700_000_000_237.5,
			end: 1_700_000_000_250,
			kind: "statement place, 5 ms or longer",
		},
		{ start: 1_700_000_000_500, end: 1_700_000_001_000, kind: "autovacuum" },
	]);
});
