import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import { isOutage } from "../resilience/outages.ts";
import { Database, databaseUrl, sql } from "./database.ts";
import { migrate, migrationState, revert } from "./migrate.ts";

let databases: Databases;
let url: string;
const folders: string[] = [];
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	url = databaseUrl(databases.pattern, "shipping");
	await query(
		"create table notes (id int generated always as identity primary key, word text not null)",
	);
	await query("insert into notes (word) select md5(n::text) from generate_series(1, 20000) n");
});
afterAll(async () => {
	for (const folder of folders) await rm(folder, { recursive: true });
	await databases?.drop();
});

const query = <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
	databases.query<Row>("shipping", text, values);
let numbered = 900;
/** A folder with one migration. */
function folderWith(name: string, up: string, down = "select 1"): string[] {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-migrations-"));
	folders.push(folder);
	const file = `0${numbered++}-${name}`;
	writeFileSync(join(folder, `${file}.sql`), up);
	writeFileSync(join(folder, `${file}.down.sql`), down);
	return [folder];
}
const validity = async (index: string) =>
	(
		await query<{ valid: boolean }>(
			"select indisvalid as valid from pg_index where indexrelid = to_regclass($1)",
			[index],
		)
	)[0]?.valid;
async function session<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
	const client = new pg.Client(url);
	await client.connect();
	try {
		return await work(client);
	} finally {
		await client.end();
	}
}
const isWaiting = (statement: string) =>
	eventually(async () => {
		const found = await query(
			`select from pg_stat_activity where datname = current_database()
				and wait_event_type in ('Lock', 'Timeout') and query ilike $1`,
			[`${statement}%`],
		);
		expect(found.length).toBeGreaterThan(0);
	});

test("an index is built during writes while a second process migrates as well", async () => {
	const files = folderWith(
		"word",
		"-- no transaction\ncreate index concurrently if not exists notes_word on notes (word)",
		"drop index notes_word",
	);
	const done = await session(async (writer) => {
		await writer.query("begin");
		await writer.query("insert into notes (word) values ('open')");
		const migrating = [migrate(url, files), migrate(url, files)];
		// It waits for the writer's transaction and blocks no other writer.
		await isWaiting("-- no transaction");
		for (let n = 0; n < 50; n++) await query("insert into notes (word) values ('meanwhile')");
		await writer.query("commit");
		return Promise.all(migrating);
	});
	expect(done.flat()).toEqual([expect.stringContaining("word")]);
	expect(await validity("notes_word")).toBe(true);
});

test("an invalid index of an interrupted build is dropped and built again", async () => {
	await query("insert into notes (word) values ('twice'), ('twice')");
	const files = folderWith(
		"unique",
		"-- no transaction\ncreate unique index concurrently if not exists notes_once on notes (word)",
	);
	await query("delete from notes where word in ('open', 'meanwhile')");
	await expect(migrate(url, files)).rejects.toThrow(/could not create unique index/);
	expect(await validity("notes_once")).toBe(false);
	await query("delete from notes where word = 'twice'");
	expect(await migrate(url, files)).toHaveLength(1);
	expect(await validity("notes_once")).toBe(true);
});

test("an index that was built but not recorded is recorded by the next run", async () => {
	const files = folderWith(
		"id",
		"-- no transaction\ncreate index concurrently if not exists notes_id on notes (id)",
	);
	await query("create index notes_id on notes (id)");
	expect(await migrate(url, files)).toHaveLength(1);
	expect((await migrationState(url, files)).missing).toEqual([]);
});

test("a change that waits for a table lock lets later transactions pass", async () => {
	const files = folderWith(
		"more",
		"alter table notes add column more text",
		"alter table notes drop column more",
	);
	await session(async (reader) => {
		await reader.query("begin");
		await reader.query("select from notes limit 1");
		const migrating = migrate(url, files);
		await isWaiting("alter table notes add");
		// This read would queue behind the waiting change, which waits for the reader.
		await query("select from notes limit 1");
		await reader.query("commit");
		expect(await migrating).toHaveLength(1);
	});
	expect(await revert(url, files)).toEqual([expect.stringContaining("more")]);
	expect(
		await query(
			`select from pg_attribute where attrelid = 'notes'::regclass and attname = 'more'
				and not attisdropped`,
		),
	).toEqual([]);
});

test("a failed migration leaves no changes, and the error names its file", async () => {
	const files = folderWith("broken", "create table half (id int); select nonsense");
	await expect(migrate(url, files)).rejects.toThrow(
		/broken\.sql: column "nonsense" does not exist\./,
	);
	expect(await query("select to_regclass('half') as half")).toEqual([{ half: null }]);
	expect((await migrationState(url, files)).missing).toHaveLength(1);
});

test("revert selects the migration applied last, whatever its number", async () => {
	const later = folderWith("later", "create table later (id int)", "drop table later");
	const earlier = folderWith("earlier", "create table earlier (id int)", "drop table earlier");
	await migrate(url, earlier);
	await migrate(url, later);
	const both = [...later, ...earlier];
	expect([await revert(url, both), await revert(url, both)]).toEqual([
		[expect.stringContaining("later")],
		[expect.stringContaining("earlier")],
	]);
});

test("nodes continue on new connections after a change of a type", async () => {
	await query("create table prices (amount numeric(12, 2) not null)");
	await query("insert into prices values (1.50)");
	const files = folderWith(
		"digits",
		"-- changes a type\nalter table prices alter column amount type numeric",
		"-- changes a type\nalter table prices alter column amount type numeric(12, 2)",
	);
	const node = new Database({ url, poolSize: 4 });
	const read = sql("read_price", "select amount from prices");
	let [reads, running] = [0, true];
	const failures: unknown[] = [];
	const reader = async () => {
		while (running) {
			reads++;
			await node.query(read).catch((error) => failures.push(error));
		}
	};
	const readers = [reader(), reader(), reader()];
	try {
		await eventually(() => expect(reads).toBeGreaterThan(100));
		// A second process that migrates keeps its session.
		await Promise.all([migrate(url, files), migrate(url, files)]);
		const before = reads;
		await eventually(() => expect(reads).toBeGreaterThan(before + 100));
		await query("update prices set amount = 1.505");
		expect(await node.query(read)).toEqual([{ amount: 1.505 }]);
		await revert(url, files);
		expect(await node.query(read)).toEqual([{ amount: 1.51 }]);
	} finally {
		running = false;
		await Promise.all(readers);
		await node.close();
	}
	expect(failures.filter((error) => !isOutage(error))).toEqual([]);
});
