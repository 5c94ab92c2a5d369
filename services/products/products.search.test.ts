import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { areRare } from "./products.search.ts";

const ALL = 30_000;
let databases: Databases;
let db: Database;
const asked: string[] = [];
beforeAll(async () => {
	databases = await makeDatabases(["products"]);
	db = new Database({
		url: databaseUrl(databases.pattern, "products"),
		poolSize: 1,
		echo: (statement) => asked.push(statement),
	});
	await db.query("alter table products set (autovacuum_enabled = false)");
	// Screws that are of steel or of brass, and never of both, one of gold, and a thousand of tin.
	await db.query(
		`insert into products (id, name, price, currency, category)
		select gen_random_uuid(), 'Screw of ' || case when n = 1 then 'gold' when n <= 1001 then 'tin' when n % 2 = 0 then 'steel' else 'brass' end, 1, 'EUR', 'Screws'
		from generate_series(1, ${ALL}) n`,
	);
}, 60_000);
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

/** Whether they are rare, and whether the index on words was asked. */
async function look(...words: string[]) {
	asked.length = 0;
	return [
		await areRare(db, words),
		asked.some((statement) => statement.includes("products_with_terms")),
	];
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
	// A stop word is not one of several words.
	expect(await look("the", "steel")).toEqual([false, false]);
	// The beginning of a word, and two words that many have, though none has both.
	expect(await look("scr")).toEqual([false, true]);
	expect(await look("steel")).toEqual([false, false]);
	expect(await look("steel", "brass")).toEqual([true, true]);
});

test("pages of every order and of a category come from an index, without a sort", async () => {
	await db.query(
		"update products set category = 'gold' where id in (select id from products limit 300)",
	);
	await db.query("vacuum analyze products");
	const plan = async (where: string, order: string) => {
		const text = `explain select id from products where deleted_at is null and ${where} order by ${order} limit 20`;
		return (await db.query<{ "QUERY PLAN": string }>(text))
			.map((row) => row["QUERY PLAN"])
			.join("\n");
	};
	const category = "category_key(category) = category_key('Gold')";
	const name = 'name collate "und-x-icu"';
	const behind = `(${name}, id) > ((select name from products limit 1), '00000000-0000-0000-0000-000000000000'::uuid)`;
	const plans = await Promise.all([
		plan("true", `${name}, id`),
		plan("true", `${name} desc, id desc`),
		plan(behind, `${name}, id`),
		plan(category, "created_at, id"),
		plan(category, `${name}, id`),
		plan(category, "price, id"),
	]);

	expect(plans.filter((text) => /Sort/.test(text))).toEqual([]);
	const counted = await db.query<{ "QUERY PLAN": string }>(
		`explain select id from products where deleted_at is null and ${category}`,
	);
	expect(counted[0]!["QUERY PLAN"]).toMatch(/Index Only Scan/);
	expect(plans[2]).toMatch(/Index Cond: \(ROW\(/);
});
