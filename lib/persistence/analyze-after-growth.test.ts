import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { analyzeAfterGrowth } from "./analyze-after-growth.ts";
import { type Database, databaseUrl } from "./database.ts";

let databases: Databases;
let session: pg.Client;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	session = new pg.Client(databaseUrl(databases.pattern, "shipping"));
	await session.connect();
	await session.query(`
		create table pieces (kind int not null, name text);
		create index pieces_kind on pieces (kind);
		-- The test decides when the table is analyzed.
		alter table pieces set (autovacuum_enabled = false);
		-- Without it, Postgres expects a few rows in an empty table.
		analyze pieces;
		set plan_cache_mode = force_generic_plan;
		prepare find (int) as select name from pieces where kind = $1`);
});
afterAll(async () => {
	await session?.end();
	await databases?.drop();
});

const analyze = () =>
	analyzeAfterGrowth(
		{
			query: async (statement, values) => {
				const text = typeof statement === "string" ? statement : statement.text;
				return (await session.query(text, values as unknown[])).rows;
			},
		} as Pick<Database, "query">,
		"pieces",
	);
const add = (count: number) =>
	session.query("insert into pieces select i, 'a name' from generate_series(1, $1::int) i", [
		count,
	]);
const analyzed = async () =>
	(await session.query("select reltuples from pg_class where relname = 'pieces'")).rows[0]
		.reltuples;
const plan = async () =>
	(await session.query("explain execute find (1)")).rows.map((row) => row["QUERY PLAN"]).join("\n");

test("replaces the plans that a session has made for an empty table", async () => {
	expect(await plan()).toContain("Seq Scan");
	await add(50_000);
	expect(await plan()).toContain("Seq Scan");
	await analyze();
	expect(await plan()).toContain("pieces_kind");
});

test("analyzes a table again after tenfold growth, and not before", async () => {
	await add(200_000);
	await analyze();
	expect(await analyzed()).toBe(50_000);
	await add(400_000);
	await analyze();
	expect(await analyzed()).toBeGreaterThan(500_000);
});
