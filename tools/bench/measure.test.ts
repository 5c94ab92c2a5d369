import { chmodSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { readTargetUsage } from "./measure.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { readUsage } from "./processes.ts";

let postgres: Postgres | undefined;
const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-measure-"));
chmodSync(folder, 0o755);
afterEach(async () => {
	await postgres?.stop();
	await rm(folder, { recursive: true, force: true });
});

test("the usage of a target excludes what the benchmark reads from its databases", async () => {
	postgres = await startPostgres(folder, "postgres");
	const target = { pids: { node: process.pid }, databases: new Map([[postgres, []]]) };
	const query = (text: string) => postgres!.query("postgres", text);
	// Large enough for parallel workers, whose time would count as that of the server.
	await query("create table numbers as select generate_series(1, 1000000) as n");
	await query("analyze numbers");
	const cpuMs = async () => {
		const own = (await readTargetUsage(target)).postgres!.cpuMs;
		return { own, all: readUsage({ postgres: postgres!.pid }, new Set()).postgres.cpuMs };
	};
	const before = await cpuMs();
	for (let n = 0; n < 5; n++) await query("select count(*) from numbers");
	const after = await cpuMs();
	expect(Object.keys(await readTargetUsage(target))).toEqual(["node", "postgres"]);
	expect(after.all - before.all).toBeGreaterThan(0);
	expect(after.own - before.own).toBeLessThan((after.all - before.all) / 2);
});
