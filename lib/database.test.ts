import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { Database, databaseUrl } from "./database.ts";

let databases: Databases;
let url: string;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	url = databaseUrl(databases.pattern, "shipping");
});
afterAll(() => databases?.drop());

/** How many connections Postgres has from a pool that calls itself so. */
const connections = async (name: string) =>
	(await databases.query("shipping", "select from pg_stat_activity where application_name = $1", [name])).length;

test("a pool opens no more connections than it may, who comes later waits for one, and closing it ends all", async () => {
	const db = new Database({ url: `${url}?application_name=three`, poolSize: 3 });
	const { promise: go, resolve } = Promise.withResolvers<void>();
	const transactions = Array.from({ length: 3 }, () =>
		db.transaction(async (tx) => {
			await tx.query("select 1");
			await go;
		}),
	);
	await eventually(async () => expect(await connections("three")).toBe(3));
	let late = false;
	const waiting = db.query("select 1").then(() => (late = true));
	await databases.query("shipping", "select 1");
	expect([late, await connections("three")]).toEqual([false, 3]);
	resolve();
	await Promise.all([...transactions, waiting]);
	await db.close();
	await eventually(async () => expect(await connections("three")).toBe(0));
});

test("of a transaction that fails nothing stays, and its connection serves the next", async () => {
	const said: string[] = [];
	const db = new Database({ url, poolSize: 1, echo: (statement) => said.push(statement) });
	const failing = db.transaction(async (tx) => {
		await tx.query("create table half (id int)");
		throw new Error("on purpose");
	});
	await expect(failing).rejects.toThrow("on purpose");
	expect(await db.query("select to_regclass('half') as half")).toEqual([{ half: null }]);
	// Echoed, where that is asked for.
	expect(said).toEqual(expect.arrayContaining(["create table half (id int)", expect.stringContaining("ROLLBACK")]));
	await db.close();
});
