import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { StartError } from "../process/start-error.ts";

/** A migration: `0001-name.sql`, reverted by `0001-name.down.sql`. */
interface Migration {
	readonly name: string;
	readonly up: string;
	readonly down: string;
}

/** The migrations of some folders, in order of execution. */
export const migrationsIn = (folders: readonly string[]): Migration[] =>
	folders.flatMap((folder) =>
		readdirSync(folder)
			.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"))
			.sort()
			.map((file) => ({
				name: file.slice(0, -4),
				up: join(folder, file),
				down: join(folder, file.replace(/\.sql$/, ".down.sql")),
			})),
	);

/**
 * Timeout of a table lock. All later transactions queue behind a waiting statement, so it gives up,
 * lets them pass, and retries.
 */
const LOCK_TIMEOUT_MS = 1000;
const RETRY_MS = 500;
/** Milliseconds of retries. */
const MAX_RETRY_MS = 60_000;
const LOCK_NOT_AVAILABLE = "55P03";

/**
 * Marks a file whose single statement runs outside a transaction, as `create index concurrently`
 * requires. An interruption may leave the statement half done, or done but not recorded; it then
 * runs again.
 */
const NO_TRANSACTION = /^-- no transaction\b/;
export const isWithoutTransaction = (text: string): boolean => NO_TRANSACTION.test(text);

/** The index that a statement builds while its table is in use. */
const CONCURRENT_INDEX =
	/\bcreate\s+(?:unique\s+)?index\s+concurrently\s+if\s+not\s+exists\s+(\w+)\s+on\b/i;

/**
 * Runs a file and records it.
 * @param record a statement whose parameter is the migration's name
 * @throws StartError with the file and the cause
 */
export async function runMigration(
	client: pg.Client,
	path: string,
	name: string,
	record: string,
): Promise<void> {
	try {
		if (!existsSync(path)) throw new Error("the file does not exist");
		const text = readFileSync(path, "utf8");
		if (isWithoutTransaction(text)) await runWithoutTransaction(client, text, name, record);
		else await runInTransaction(client, text, name, record);
	} catch (error) {
		throw new StartError(
			`${path}: ${(error as Error).message}. Earlier migrations remain applied; fix this one and run it again`,
			{
				cause: error,
			},
		);
	}
}

/** Applies and records a migration in one transaction: a crash leaves both or neither. */
async function runInTransaction(
	client: pg.Client,
	text: string,
	name: string,
	record: string,
): Promise<void> {
	const end = Date.now() + MAX_RETRY_MS;
	for (;;) {
		await client.query("begin");
		try {
			await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
			await client.query(text);
			await recordMigration(client, name, record);
			await client.query("commit");
			return;
		} catch (error) {
			await client.query("rollback");
			if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
			if (Date.now() > end)
				throw new Error(
					`another transaction has locked a table that this migration changes for ${MAX_RETRY_MS / 1000} s; find it in pg_stat_activity`,
					{
						cause: error,
					},
				);
			await pause(RETRY_MS);
		}
	}
}

/**
 * Runs a statement without a transaction. Drops an invalid index of an interrupted build first: it
 * is never used, and slows every write.
 */
async function runWithoutTransaction(
	client: pg.Client,
	text: string,
	name: string,
	record: string,
): Promise<void> {
	const index = CONCURRENT_INDEX.exec(text)?.[1];
	if (index) {
		const invalid = await client.query(
			"select from pg_index where indexrelid = to_regclass($1) and not indisvalid",
			[index],
		);
		if (invalid.rowCount! > 0) await client.query(`drop index concurrently ${index}`);
	}
	await client.query(text);
	await recordMigration(client, name, record);
}

async function recordMigration(client: pg.Client, name: string, record: string): Promise<void> {
	await client.query(
		"create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())",
	);
	await client.query(record, [name]);
}
