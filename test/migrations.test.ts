import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { databaseUrl } from "../lib/persistence/database.ts";
import { migrate, migrationState, revert } from "../lib/persistence/migrate.ts";
import { migrationFolders } from "../lib/settings/node.ts";
import { domains, makeDatabases, root } from "./support/databases.ts";
import { filesIn, read } from "./support/imports.ts";
import { type MigrationFile, violations } from "./support/migration-rules.ts";

const released = [
	...readFileSync(join(root, "CHANGELOG.md"), "utf8").matchAll(/^## \[(\d+\.\d+\.\d+)\]/gm),
].map(([, version]) => version!);
const migrationsOf = (folder: string): MigrationFile[] =>
	filesIn(root, folder)
		.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"))
		.sort()
		.map((file) => read(root, file));
const shared = migrationsOf("mixins/migrations");

test("migrations block neither a running shop nor nodes of the previous version", async () => {
	const lines = await Promise.all(
		domains.map((name) =>
			violations([...shared, ...migrationsOf(`services/${name}/migrations`)], released),
		),
	);
	expect([...new Set(lines.flat())]).toEqual([]);
});

test("every migration can be reverted and applied again", async () => {
	const databases = await makeDatabases(domains);
	try {
		const revertAll = async (service: string): Promise<string[]> => {
			const [url, folders] = [
				databaseUrl(databases.pattern, service),
				migrationFolders(root, service),
			];
			const { applied } = await migrationState(url, folders);
			for (const _ of applied) expect(await revert(url, folders)).toHaveLength(1);
			const remaining = await databases.query<{ name: string }>(service, REMAINING);
			expect(await migrate(url, folders)).toHaveLength(applied.length);
			return remaining.map(({ name }) => `${service}: ${name}`);
		};
		expect((await Promise.all(domains.map(revertAll))).flat()).toEqual([]);
	} finally {
		await databases.drop();
	}
});
const REMAINING = `select relname as name from pg_class
	where relnamespace = current_schema::regnamespace and relname not like 'migrations%'
	union all select proname from pg_proc where pronamespace = current_schema::regnamespace`;

describe("the migration rules for existing tables", () => {
	const existing = {
		file: "1.sql",
		text: "create table stock (id int primary key, word text not null, old int)",
	};
	const check = (text: string) => violations([existing, { file: "2.sql", text }], ["0.4.0"]);

	test.each([
		["create index on stock (word)", "create index concurrently if not exists NAME"],
		["create index concurrently if not exists i on stock (word)", "begins with"],
		["-- no transaction\ncreate index concurrently i on stock (word)", "if not exists"],
		[
			"-- no transaction\ncreate index concurrently if not exists i on stock (word); select 1",
			"write one in a file",
		],
		["drop index i", "drop index concurrently"],
		["alter table stock add column c int not null", "make it nullable"],
		[
			"alter table stock add column c uuid default gen_random_uuid()",
			"commits every few thousand rows",
		],
		[
			"alter table stock add column c float default random() * 2",
			"commits every few thousand rows",
		],
		["alter table stock add column c bigserial", "add it nullable"],
		["alter table stock add column c int generated always as (old + 1) stored", "add it nullable"],
		["alter table stock add column c int generated always as identity", "add it nullable"],
		["alter table stock add column c int check (c > 0)", "NOT VALID"],
		["alter table stock add column c int references other", "NOT VALID"],
		["alter table stock add column c int unique", "USING INDEX"],
		["alter table stock add constraint c check (old > 0)", "VALIDATE it in the next migration"],
		["alter table stock add constraint c foreign key (old) references other", "NOT VALID"],
		["alter table stock add check (old > 0) not valid", "give it one"],
		["alter table stock add constraint c unique (old)", "USING INDEX"],
		[
			"alter table stock add constraint c check (old > 0) not valid; " +
				"alter table stock validate constraint c",
			"by itself",
		],
		["alter table stock alter column old set not null", "check (old is not null)"],
		["alter table stock alter column old type bigint", "add a column of the new type"],
		["alter table stock alter column old type numeric(13, 3)", "add a column of the new type"],
		["alter table stock alter column old type numeric", "ends the other sessions"],
		[
			"-- changes a type\nalter table stock alter column old type numeric using old / 100",
			"add a column of the new type",
		],
		["alter table stock alter column old drop default", "unread since"],
		["alter table stock drop column old", "unread since"],
		["-- unread since 0.5.0\nalter table stock drop column old", "unread since"],
		["drop table stock", "unread since"],
		["drop function f", "unread since"],
		["alter table stock rename column old to new", "write both"],
		["alter table stock rename to goods", "write both"],
		["alter table stock set unlogged", "AT_SetUnLogged is not known"],
		["alter table stock disable trigger all", "AT_DisableTrigAll is not known"],
		["update stock set old = 1", "commits every few thousand rows"],
		["delete from stock where old = 1", "commits every few thousand rows"],
		["vacuum full stock", "leave it out"],
		["cluster stock", "leave it out"],
		["lock table stock", "leave it out"],
		["truncate stock", "leave it out"],
		["reindex table stock", "leave it out"],
		[
			"do $$ begin if true then alter table stock add column c int not null; end if; end $$",
			"make it nullable",
		],
		["do $$ begin execute 'drop table ' || 'stock'; end $$", "write it as a statement"],
		["do $$ begin loop update stock set old = 1; commit; end loop; end $$", "begins with"],
		[
			"-- no transaction\ndo $$ begin update stock set old = 1; end $$",
			"commits every few thousand rows",
		],
		["commit", "begins or ends a transaction"],
		["create rule r as on insert to stock do instead nothing", "RuleStmt is not known"],
	])("reject %j and suggest an alternative", async (text, advice) => {
		expect(await check(text)).toEqual([expect.stringContaining(advice)]);
	});

	test.each([
		"-- no transaction\ncreate unique index concurrently if not exists i on stock (word)",
		"-- no transaction\ndrop index concurrently if exists i",
		"create table more (id int primary key, " +
			"stock_id int not null references stock check (id > 0)); " +
			"create index on more (stock_id)",
		"alter table stock add column a text, add column b int not null default -1, " +
			"add column c timestamptz not null default now()",
		"alter table stock add column a jsonb not null default '[]'::jsonb, " +
			"add column b timestamptz default current_timestamp",
		"alter table stock add constraint c check (old > 0) not valid",
		"alter table stock drop constraint c; " +
			"alter table stock add constraint c check (old > 1) not valid",
		"alter table stock validate constraint c",
		"-- changes a type\nalter table stock alter column old type numeric",
		"analyze stock",
		"alter table stock add constraint c unique using index i",
		"alter table stock alter column word drop not null, alter column word set default ''",
		"alter table stock set (fillfactor = 50)",
		"-- Obsolete.\n-- unread since 0.4.0\nalter table stock drop column old",
		"create or replace function f() returns int language sql as $$ select 1 $$",
		"-- no transaction\ndo $$ begin loop update stock set old = 1 where old is null; " +
			"exit when not found; commit; end loop; end $$",
		"do $$ begin if true then alter table stock alter column old set default 1; end if; end $$",
	])("accept %j", async (text) => {
		expect(await check(text)).toEqual([]);
	});
});
