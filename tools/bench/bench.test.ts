import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { cleanUp, makeDataFolder, runScript } from "../../test/support/program.ts";
import type { ImportResult } from "./import.ts";
import { read } from "./options.ts";
import type { Findings } from "./rounds.ts";

afterEach(cleanUp);

const SMALL = [
	"--products",
	"20",
	"--users",
	"4",
	"--orders",
	"60",
	"--seconds",
	"0.5",
	"--warmup",
	"0",
	"--buyers",
	"2",
];

test("bench measures the shop and the floor, checks orders, and writes JSON and HTML", async () => {
	const folder = await makeDataFolder();
	const [json, page] = [join(folder, "bench.json"), join(folder, "bench.html")];
	const bench = runScript(
		"bench",
		{},
		{ args: [...SMALL, "--scenarios", "order", "--slowest", "--json", json, "--page", page] },
	);
	const { code, errors } = await bench.ended;
	expect({ code, errors }).toEqual({ code: 0, errors: "" });
	expect(bench.output()).toMatch(/^ +slowest 1 %: \d+ requests of [\d.]+ ms or longer/m);
	// The rate and the CPU time, divided by those of the floor.
	expect(bench.output()).toMatch(/^shop +order .* [\d.]+x +[\d.]+x$/m);
	const { rows, violations, checked } = JSON.parse(await readFile(json, "utf8")) as Findings;
	expect(violations).toEqual([]);
	expect(rows.map(({ target, errors }) => [target, errors])).toEqual([
		["shop", {}],
		["floor", {}],
	]);
	for (const { target, median: figures } of rows) {
		expect(checked[target]).toBe(figures.operations);
		expect(figures.operations).toBeGreaterThan(0);
		// An order takes at least one writing transaction.
		expect(figures.commits).toBeGreaterThanOrEqual(0.9);
		expect(figures.statements).toBeGreaterThan(figures.commits);
		expect(figures.p50).toBeLessThanOrEqual(figures.p99);
		expect(Object.keys(figures.cpu)).toEqual(["node", "postgres"]);
	}
	expect(await readFile(page, "utf8")).toMatch(/<svg[\s\S]*<rect[\s\S]*order/);
});

test("--import reports CPU time and memory of an import, and reads beside it", async () => {
	const json = join(await makeDataFolder(), "import.json");
	const size = ["--products", "20", "--users", "4", "--orders", "60"];
	const load = ["--import", "400", "--rate", "20", "--seconds", "0.5"];
	const bench = runScript("bench", {}, { args: [...size, ...load, "--json", json] });
	const { code, errors } = await bench.ended;
	expect({ code, errors }).toEqual({ code: 0, errors: "" });
	expect(bench.output()).toMatch(/^shop: 400 rows in [\d.]+ s$/m);
	const { import: results } = JSON.parse(await readFile(json, "utf8"));
	const [{ rows, violations, cpu, rss, idle, during }] = results as [ImportResult];
	expect([results.length, rows, violations]).toEqual([1, 400, []]);
	expect(Object.keys(cpu)).toEqual(["node", "postgres"]);
	expect(cpu.node).toBeGreaterThan(0);
	// The sample before the import, and at least one during it.
	expect(rss.node!.length).toBeGreaterThan(1);
	expect(Math.min(...rss.node!)).toBeGreaterThan(0);
	expect([idle.errors, during.errors]).toEqual([0, 0]);
});

test("rejects invalid options and names the option", () => {
	for (const [args, why] of [
		[["--scenarios", "product,nonsense"], /no scenario nonsense/],
		[["--buyers", "many"], /--buyers is a number/],
		[["--rounds", "0"], /--rounds is a number, at least 1/],
		[["--vs", "HEAD", "--scale"], /exclude each other/],
		[["--scenarios", "order,product", "--base", "list"], /--scenarios does not contain list/],
		[["--shape", "round"], /not round/],
		[["--import", "6"], /--import is a multiple of 4/],
		[["--import", "8", "--scale"], /exclude each other/],
		[["--postgres", "2"], /--shape cluster/],
		[["--scale", "--scenarios", "order,audit"], /audit needs --shape cluster/],
		[["--nonsense"], /--help" lists the arguments/],
	] as const)
		expect(() => read([...args])).toThrow(why);
	expect(read(["--help"])).toBeUndefined();
});

test("--scale includes the audit in a cluster only, and only the named scenarios", () => {
	expect(read(["--scale"])!.scenarios).not.toContain("audit");
	expect(read(["--scale", "--shape", "cluster"])!.scenarios).toContain("audit");
	expect(read(["--scale", "--shape", "cluster", "--scenarios", "order"])!.scenarios).toEqual([
		"order",
	]);
});
