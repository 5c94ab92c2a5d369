import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { StartError } from "../process/start-error.ts";

/** One step of a database: `0001-name.sql`, with its way back in `0001-name.down.sql`. */
export interface Migration {
	readonly name: string;
	readonly up: string;
	readonly down: string;
}

/** Those of some folders, in the order in which they run. */
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

/** While a statement waits for a table's lock, everybody who comes later waits behind it: so it gives up, lets them pass, and tries again. */
const LOCK_MS = 1000;
const PAUSE_MS = 500;
/** How long it goes on so. */
const PATIENCE_MS = 60_000;
const LOCK_NOT_AVAILABLE = "55P03";

/**
 * A file that begins with this line has one statement, which runs outside any transaction, as an index that is built while the table is in use has to.
 * What interrupts it may leave the statement half done, or done and not noted; it then runs again.
 */
const NO_TRANSACTION = /^-- no transaction\b/;
export const isWithoutTransaction = (text: string): boolean => NO_TRANSACTION.test(text);

/** The index that a statement builds while its table is in use. */
const CONCURRENT_INDEX =
	/\bcreate\s+(?:unique\s+)?index\s+concurrently\s+if\s+not\s+exists\s+(\w+)\s+on\b/i;

/**
 * Runs a file and makes a note of it.
 * @param note a statement whose parameter is the migration's name
 * @throws StartError with the file and what is wrong in it
 */
export async function runMigration(
	client: pg.Client,
	path: string,
	name: string,
	note: string,
): Promise<void> {
	try {
		if (!existsSync(path)) throw new Error("there is no such file");
		const text = readFileSync(path, "utf8");
		if (isWithoutTransaction(text)) await runAlone(client, text, name, note);
		else await runInTransaction(client, text, name, note);
	} catch (error) {
		throw new StartError(
			`${path}: ${(error as Error).message}. What came before it stays; when this is mended, run it again`,
			{
				cause: error,
			},
		);
	}
}

/** A change and the note of it in one transaction: a process that dies in between leaves both or none. */
async function runInTransaction(
	client: pg.Client,
	text: string,
	name: string,
	note: string,
): Promise<void> {
	const end = Date.now() + PATIENCE_MS;
	for (;;) {
		await client.query("begin");
		try {
			await client.query(`set local lock_timeout = ${LOCK_MS}`);
			await client.query(text);
			await makeNote(client, name, note);
			await client.query("commit");
			return;
		} catch (error) {
			await client.query("rollback");
			if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
			if (Date.now() > end)
				throw new Error(
					`some transaction has held a table that this changes for ${PATIENCE_MS / 1000} s, pg_stat_activity tells which`,
					{
						cause: error,
					},
				);
			await pause(PAUSE_MS);
		}
	}
}

/** What an interrupted build has left stands in the way: an index of that name which is never used, and slows every write down. */
async function runAlone(
	client: pg.Client,
	text: string,
	name: string,
	note: string,
): Promise<void> {
	const index = CONCURRENT_INDEX.exec(text)?.[1];
	if (index) {
		const half = await client.query(
			"select from pg_index where indexrelid = to_regclass($1) and not indisvalid",
			[index],
		);
		if (half.rowCount! > 0) await client.query(`drop index concurrently ${index}`);
	}
	await client.query(text);
	await makeNote(client, name, note);
}

async function makeNote(client: pg.Client, name: string, note: string): Promise<void> {
	await client.query(
		"create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())",
	);
	await client.query(note, [name]);
}
