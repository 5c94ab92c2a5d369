import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { areRare } from "./products.search.ts";

const COUNT = 30_000;
let databases: Databases;
let db: Database;
const statements: string[] = [];
beforeAll(async () => {
	databases = await makeDatabases(["products"]);
	db = new Database({
		url: databaseUrl(databases.pattern, "products"),
		poolSize: 1,
		echo: (statement) => statements.push(statement),
	});
	await db.query("alter table products set (autovacuum_enabled = false)");
	// One screw of gold, a thousand of tin, the others of either steel or brass.
	await db.query(
		`insert into products (id, name, price, currency, category)
		select gen_random_uuid(), 'Screw of ' || case
			when n = 1 then 'gold' when n <= 1001 then 'tin' when n % 2 = 0 then 'steel' else 'brass'
			end, 1, 'EUR', 'Screws'
		from generate_series(1, ${COUNT}) n`,
	);
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

/** Whether the words are rare, and whether they were looked up in the index. */
async function checkRarity(...words: string[]) {
	statements.length = 0;
	return [
		await areRare(db, words),
		statements.some((statement) => statement.includes("products_with_terms")),
	];
}

test("looks words up while Postgres has no statistics", async () => {
	expect(await checkRarity("screw")).toEqual([false, true]);
	expect(await checkRarity("gold")).toEqual([true, true]);
});

test("does not look up a single word that is frequent by the statistics", async () => {
	await db.query("analyze products");
	expect(await checkRarity("screw")).toEqual([false, false]);
	expect(await checkRarity("screws")).toEqual([false, false]);
	expect(await checkRarity("tin")).toEqual([true, true]);
	expect(await checkRarity("gold")).toEqual([true, true]);
	expect(await checkRarity("silver")).toEqual([true, true]);
	// A stop word does not count as a second word.
	expect(await checkRarity("the", "steel")).toEqual([false, false]);
	// A prefix, a frequent word, and two frequent words that no product has in common.
	expect(await checkRarity("scr")).toEqual([false, true]);
	expect(await checkRarity("steel")).toEqual([false, false]);
	expect(await checkRarity("steel", "brass")).toEqual([true, true]);
});

test("pages of every order and category are read from an index without a sort", async () => {
	await db.query(
		"update products set category = 'gold' where id in (select id from products limit 300)",
	);
	await db.query("vacuum analyze products");
	const plan = async (where: string, order: string) => {
		const text = `explain select id from products
			where deleted_at is null and parent_id is null and ${where} order by ${order} limit 20`;
		return (await db.query<{ "QUERY PLAN": string }>(text))
			.map((row) => row["QUERY PLAN"])
			.join("\n");
	};
	const category = `category_path(category) collate "C" = category_path('Gold') collate "C"`;
	const name = 'name collate "und-x-icu"';
	const afterProduct = `(${name}, id) > (
		(select name from products limit 1), '00000000-0000-0000-0000-000000000000'::uuid)`;
	const plans = await Promise.all([
		plan("true", `${name}, id`),
		plan("true", `${name} desc, id desc`),
		plan(afterProduct, `${name}, id`),
		plan(category, "created_at, id"),
		plan(category, `${name}, id`),
		plan(category, "price, id"),
	]);

	expect(plans.filter((text) => /Sort/.test(text))).toEqual([]);
	const counted = await db.query<{ "QUERY PLAN": string }>(
		"explain select id from products where deleted_at is null " +
			`and parent_id is null and ${category}`,
	);
	expect(counted[0]!["QUERY PLAN"]).toMatch(/Index Only Scan/);
	expect(plans[2]).toMatch(/Index Cond: \(ROW\(/);
});
