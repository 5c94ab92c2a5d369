import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Database, databaseUrl } from "../../lib/database.ts";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { areRare } from "./products.models.ts";

const ALL = 30_000;
let databases: Databases;
let db: Database;
const asked: string[] = [];
beforeAll(async () => {
	databases = await makeDatabases(["products"]);
	db = new Database({ url: databaseUrl(databases.pattern, "products"), poolSize: 1, echo: (statement) => asked.push(statement) });
	await db.query("alter table products set (autovacuum_enabled = false)");
	// Screws that are of steel or of brass, and never of both, one of gold, and a thousand of tin.
	await db.query(
		`insert into products (id, name, price, currency, category)
		select gen_random_uuid(), 'Screw of ' || case when n = 1 then 'gold' when n <= 1001 then 'tin' when n % 2 = 0 then 'steel' else 'brass' end, 1, 'EUR', 'Screws'
		from generate_series(1, ${ALL}) n`,
	);
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

/** Whether they are rare, and whether the index on words was asked. */
async function look(...words: string[]) {
	asked.length = 0;
	return [await areRare(db, words), asked.some((statement) => statement.includes("products_with_words"))];
}

test("words are looked up as long as nothing is known of them", async () => {
	expect(await look("screw")).toEqual([false, true]);
	expect(await look("gold")).toEqual([true, true]);
});

test("one that is known to be in many products is not looked up, and all others are", async () => {
	await db.query("analyze products");
	expect(await look("screw")).toEqual([false, false]);
	expect(await look("screws")).toEqual([false, false]);
	expect(await look("tin")).toEqual([true, true]);
	expect(await look("gold")).toEqual([true, true]);
	expect(await look("silver")).toEqual([true, true]);
	// The beginning of a word, and two words that many have, though none has both.
	expect(await look("scr")).toEqual([false, true]);
	expect(await look("steel")).toEqual([false, false]);
	expect(await look("steel", "brass")).toEqual([true, true]);
});
