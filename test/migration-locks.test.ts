import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { databaseUrl } from "../lib/persistence/database.ts";
import { revert } from "../lib/persistence/migrate.ts";
import { isWithoutTransaction, migrationsIn } from "../lib/persistence/migration.ts";
import { migrationFolders } from "../lib/settings/node.ts";
import { type Databases, makeDatabases, root } from "./support/databases.ts";

interface Rows {
	/** Migration after which the rows are inserted. */
	readonly after: string;
	readonly inserts: string;
	/** Returns the amounts of the rows as text. */
	readonly amounts: string;
}
const ID = "019a0000-0000-7000-8000-000000000000";
/**
 * Rows of the tables whose columns later migrations change, inserted after a migration. Every later
 * migration runs with these rows.
 */
const ROWS: Readonly<Record<string, Rows>> = {
	products: {
		after: "0011-category-key-by-price",
		inserts: `insert into products (id, name, price, currency, category)
			values ('${ID}', 'Tea', 19.90, 'EUR', 'Food')`,
		amounts: "select price from products",
	},
	orders: {
		after: "0004-lines",
		inserts: `insert into orders
				(id, user_id, status, total_amount, currency, payment_token, created_at, updated_at)
				values ('${ID}', '${ID}', 'confirmed', 19.90, 'EUR', 'tok_ok', now(), now());
			insert into order_items
				(order_id, position, product_id, name, quantity, unit_price, line_total)
				values ('${ID}', 0, '${ID}', 'Tea', 1, 19.90, 19.90)`,
		amounts: `select total_amount from orders union all select unit_price from order_items
			union all select line_total from order_items`,
	},
	payments: {
		after: "0008-sweeps",
		inserts: `insert into payments
				(id, order_id, user_id, amount, currency, status, refunded_amount)
				values ('${ID}', '${ID}', '${ID}', 19.90, 'EUR', 'partially_refunded', 0.50);
			insert into refunds (id, payment_id, amount) values ('${ID}', '${ID}', 0.50);
			insert into ledger_charges (key, status, amount, currency, refunded)
				values ('${ID}', 'captured', 19.90, 'EUR', 0.50);
			insert into ledger_refunds (key, charge_key, amount) values ('${ID}', '${ID}', 0.50);
			insert into ledger_authorizations (key, amount, currency, token)
				values ('${ID}', 19.90, 'EUR', 'tok_ok')`,
		amounts: `select amount from payments union all select amount from ledger_charges
			union all select amount from ledger_authorizations`,
	},
};
const services = Object.keys(ROWS);

let databases: Databases;
beforeAll(async () => {
	databases = await makeDatabases(services);
});
afterAll(() => databases?.drop());

/** Files on disk of tables and indexes that existed before. A rewrite changes the file. */
const FILES = `select relname as name, pg_relation_filenode(oid) as file from pg_class
	where relnamespace = current_schema::regnamespace and relkind in ('r', 'i')`;
/** Tables that the transaction has locked against reads, and whose rows it has read. */
const READ_UNDER_LOCK = `select s.relname as name from pg_stat_xact_user_tables s
	join pg_locks l on l.relation = s.relid
	where l.pid = pg_backend_pid() and l.mode = 'AccessExclusiveLock' and s.seq_tup_read > 0`;

/**
 * Runs a migration and returns the names of existing tables and indexes that it rewrites or reads.
 */
async function heavyWork(client: pg.Client, text: string): Promise<string[]> {
	if (isWithoutTransaction(text)) {
		await client.query(text);
		return [];
	}
	const filesOf = async () => (await client.query<{ name: string; file: number }>(FILES)).rows;
	const before = await filesOf();
	// Otherwise the counters include those of the previous transactions.
	await client.query("select pg_stat_force_next_flush()");
	await client.query("begin");
	await client.query(text);
	const after = new Map((await filesOf()).map(({ name, file }) => [name, file]));
	const read = (await client.query<{ name: string }>(READ_UNDER_LOCK)).rows;
	await client.query("commit");
	const rewritten = before.filter(({ name, file }) => after.has(name) && after.get(name) !== file);
	return [...rewritten, ...read].map(({ name }) => name);
}
async function connected<T>(service: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
	const client = new pg.Client(databaseUrl(databases.pattern, service));
	await client.connect();
	try {
		return await work(client);
	} finally {
		await client.end();
	}
}

test.each(services)("migrations of %s rewrite and read no table under a lock", async (service) => {
	const url = databaseUrl(databases.pattern, service);
	const folders = migrationFolders(root, service);
	const migrations = migrationsIn(folders);
	const { after, inserts, amounts } = ROWS[service]!;
	const first = migrations.findIndex(({ name }) => name === after) + 1;
	expect(first).toBeGreaterThan(0);
	for (const _ of migrations.slice(first)) await revert(url, folders);
	await connected(service, async (client) => {
		await client.query(inserts);
		for (const { name, up } of migrations.slice(first))
			expect([name, await heavyWork(client, readFileSync(up, "utf8"))]).toEqual([name, []]);
		const { rows } = await client.query({ text: amounts, rowMode: "array" });
		expect(new Set(rows.flat())).toEqual(new Set(["19.90"]));
	});
});

test.each([
	["alter table notes alter column amount type numeric(13, 3)", ["notes", "positive"]],
	["alter table notes alter column amount type numeric", ["notes", "positive"]],
	["drop index positive; alter table notes alter column amount type numeric", []],
	["alter table notes add constraint c check (amount > 0)", ["notes"]],
	["alter table notes add constraint c check (amount > 0) not valid", []],
])("the work under a lock is detected: %s", async (text, expected) => {
	await connected("products", async (client) => {
		await client.query(`create table notes (amount numeric(12, 2));
			insert into notes values (1); create index positive on notes (amount) where amount > 0`);
		const found = await heavyWork(client, text);
		await client.query("drop table notes");
		expect([...new Set(found)].sort()).toEqual(expected);
	});
});
