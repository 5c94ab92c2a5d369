import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { approximateCount, EXACT_UP_TO, pageOf } from "./approximate-count.ts";
import { Database, databaseUrl, sql } from "./database.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	db = new Database({ url: databaseUrl(databases.pattern, "shipping"), poolSize: 2 });
	// Postgres analyzes this table only on request.
	await db.query(
		"create table things (n int primary key, kind int) with (autovacuum_enabled = false)",
	);
	await db.query("insert into things select n, n % 3 from generate_series(1, 30000) n");
	await db.query("analyze things");
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

const THINGS = "select n from things";

test("lists up to the limit are counted exactly, with and without values", async () => {
	expect(await approximateCount(db, `${THINGS} where false`)).toBe(0);
	expect(await approximateCount(db, `${THINGS} where n <= ${EXACT_UP_TO}`)).toBe(EXACT_UP_TO);
	const upTo = sql("things_up_to", `${THINGS} where n <= $1 and kind = $2`);
	expect([
		await approximateCount(db, upTo, [30_000, 1]),
		await approximateCount(db, upTo, [10, 0]),
	]).toEqual([10_000, 3]);
});

test("above the limit the total is the planner's estimate, even after deletions", async () => {
	expect(await approximateCount(db, THINGS)).toBe(30_000);
	await db.query("begin; delete from things where n > 15000; commit");
	expect(await approximateCount(db, THINGS)).toBe(30_000);
	expect(
		await approximateCount(db, sql("things_below", `${THINGS} where n <= $1`), [20_000]),
	).toBeGreaterThan(EXACT_UP_TO);
});

test("a list far above the limit is counted only if it is short", async () => {
	await db.query("create table many (n int primary key) with (autovacuum_enabled = false)");
	await db.query("insert into many select n from generate_series(1, 60000) n");
	await db.query("analyze many");
	const left = async (n: number) => {
		await db.query(`delete from many where n > ${n}`);
		return approximateCount(db, "select n from many");
	};
	expect([await left(60_000), await left(5000), await left(1000)]).toEqual([60_000, 60_000, 1000]);
});

test("an estimate below the counted rows becomes one more than those", async () => {
	expect(await approximateCount(db, `${THINGS} where abs(n) > 0 and abs(kind) >= 0`)).toBe(
		EXACT_UP_TO + 1,
	);
	expect(
		await approximateCount(
			db,
			sql("things_any", `${THINGS} where abs(n) > $1 and abs(kind) >= $1`),
			[-1],
		),
	).toBe(EXACT_UP_TO + 1);
});

test("a page corrects an estimated total and never an exact one", () => {
	const page = (total: number, shown: number, place: { skip: number; pageFilter?: object }) =>
		pageOf(Array.from({ length: shown }), total, { limit: 100, ...place }).total;
	// Full page: more rows may follow.
	expect(page(12_000, 100, { skip: 0 })).toBe(12_000);
	expect(page(12_000, 100, { skip: 11_900 })).toBe(12_001);
	expect(page(12_000, 100, { skip: 50_000 })).toBe(50_101);
	// Short page: the list ends here.
	expect(page(12_000, 1, { skip: 10_500 })).toBe(10_501);
	expect(page(12_000, 99, { skip: 50_000 })).toBe(50_099);
	// Empty page: the list ends before it.
	expect(page(12_000, 0, { skip: 11_000 })).toBe(11_000);
	expect(page(12_000, 0, { skip: 50_000 })).toBe(12_000);
	// The number of rows before a keyset page is unknown.
	expect([
		page(12_000, 1, { skip: 0, pageFilter: {} }),
		page(12_000, 0, { skip: 5, pageFilter: {} }),
	]).toEqual([12_000, 12_000]);
	expect(page(12_000, 100, { skip: 13_000, pageFilter: {} })).toBe(13_101);
	for (const shown of [0, 1, 100]) expect(page(EXACT_UP_TO, shown, { skip: 50 })).toBe(EXACT_UP_TO);
});
