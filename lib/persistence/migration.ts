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
/** Whether a migration file begins with `-- no transaction`. */
export const isWithoutTransaction = (text: string): boolean => NO_TRANSACTION.test(text);

/**
 * Marks a file that changes the type of a column. On an open connection, prepared statements that
 * return the column would fail from then on ("cached plan must not change result type"), so the
 * migration ends the other sessions of its role before it commits.
 */
const CHANGES_TYPE = /^-- changes a type\b/;
/** Whether a migration file begins with `-- changes a type`. */
export const isChangeOfType = (text: string): boolean => CHANGES_TYPE.test(text);

/** Name of the sessions that migrate, and that no migration ends. */
export const MIGRATING = "migrate";
/** Time that running statements have to finish before their session is ended. */
const SESSION_GRACE_MS = 300;
const SESSION_POLL_MS = 5;
/**
 * Ends idle sessions, sessions that wait for this transaction, and after the grace period (`$2`)
 * all others. `$1` is the time of the change: later sessions know the new type.
 */
const END_SESSIONS = `select count(*)::int as sessions, count(case
		when $2 or state = 'idle' or pg_backend_pid() = any (pg_blocking_pids(pid))
		then pg_terminate_backend(pid) end) as ended
	from pg_stat_activity, pg_stat_clear_snapshot()
	where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
		and application_name <> '${MIGRATING}' and backend_start < $1::timestamptz`;

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
			`${path}: ${(error as Error).message}. ` +
				"Earlier migrations remain applied; fix this one and run it again",
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
			if (isChangeOfType(text)) await endOtherSessions(client);
			await client.query("commit");
			return;
		} catch (error) {
			await client.query("rollback");
			if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
			if (Date.now() > end)
				throw new Error(
					"another transaction has locked a table that this migration " +
						`changes for ${MAX_RETRY_MS / 1000} s; find it in pg_stat_activity`,
					{
						cause: error,
					},
				);
			await pause(RETRY_MS);
		}
	}
}

/**
 * Ends the other sessions of the role while the transaction still locks the changed table. A
 * session that a node opens meanwhile waits for the lock as soon as it prepares a statement on the
 * table. To a node, the end of a session is a short outage of Postgres: it reconnects and repeats
 * the work.
 */
async function endOtherSessions(client: pg.Client): Promise<void> {
	const { rows } = await client.query<{ time: string }>("select clock_timestamp()::text as time");
	const end = Date.now() + SESSION_GRACE_MS;
	for (;;) {
		const values = [rows[0]!.time, Date.now() > end];
		const found = await client.query<{ sessions: number }>(END_SESSIONS, values);
		if (found.rows[0]!.sessions === 0) return;
		await pause(SESSION_POLL_MS);
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
		`create table if not exists migrations (name text primary key,
			applied_at timestamptz not null default now())`,
	);
	await client.query(record, [name]);
}
