import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { StartError } from "../process/start-error.ts";
import { isOutage } from "../resilience/outages.ts";
import { CONNECT_MS, databaseUrl } from "./database.ts";
import { MIGRATING, migrationsIn, runMigration } from "./migration.ts";

const RECORD = "insert into migrations (name) values ($1)";
const ERASE = "delete from migrations where name = $1";
/** Key of the advisory lock: any constant number. */
const LOCK = 7_306_417;
const RETRY_MS = 50;

/**
 * Applies the missing migrations of one service's database, see lib/persistence/migration.ts. An
 * advisory lock makes nodes that start together wait for the first.
 * @param folders with migrations; those shared by all services come first
 * @returns the names of the applied migrations
 */
export const migrate = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => {
		await lock(client);
		const applied = names(await appliedTo(client));
		const pending = migrationsIn(folders).filter(({ name }) => !applied.includes(name));
		for (const { name, up } of pending) await runMigration(client, up, name, RECORD);
		return names(pending);
	});

/**
 * Reverts the migration that was applied last.
 * @returns its name, or nothing if none is applied
 * @throws StartError if a newer version applied it, which alone has its down file
 */
export const revert = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => {
		await lock(client);
		const newest = (await appliedTo(client)).at(-1)?.name;
		if (newest === undefined) return [];
		const migration = migrationsIn(folders).find(({ name }) => name === newest);
		if (!migration)
			throw new StartError(
				`${newest} was applied by a newer version: ` +
					"revert it with that version, which has its down file",
			);
		await runMigration(client, migration.down, newest, ERASE);
		return [newest];
	});

/** The migrations that are not applied. Changes nothing. */
export const pendingMigrations = async (
	url: string,
	folders: readonly string[],
): Promise<string[]> => (await migrationState(url, folders)).missing;

/** Migrations of a database, compared with the files of this version. */
export interface MigrationState {
	/** In order of application, including those of a newer version. */
	readonly applied: readonly { readonly name: string; readonly applied_at: Date }[];
	/** Files of this version that are not applied. */
	readonly missing: string[];
	/** Applied migrations that this version does not have. */
	readonly newer: string[];
}
/** Compares a database with the migrations of this version. Changes nothing. */
export const migrationState = (url: string, folders: readonly string[]): Promise<MigrationState> =>
	connected(url, async (client) => {
		const applied = await appliedTo(client);
		const [local, remote] = [names(migrationsIn(folders)), names(applied)];
		return {
			applied,
			missing: local.filter((name) => !remote.includes(name)),
			newer: remote.filter((name) => !local.includes(name)),
		};
	});

const names = (migrations: readonly { readonly name: string }[]) =>
	migrations.map(({ name }) => name);

/**
 * Polls for the lock. A statement that waited for it would be waited for by a concurrent index
 * build, a deadlock.
 */
async function lock(client: pg.Client): Promise<void> {
	for (;;) {
		const { rows } = await client.query<{ mine: boolean }>(
			"select pg_try_advisory_lock($1) as mine",
			[LOCK],
		);
		if (rows[0]!.mine) return;
		await pause(RETRY_MS);
	}
}

async function appliedTo(client: pg.Client): Promise<{ name: string; applied_at: Date }[]> {
	const tables = await client.query(
		"select from pg_tables where schemaname = current_schema and tablename = 'migrations'",
	);
	if (tables.rowCount === 0) return [];
	return (await client.query("select name, applied_at from migrations order by applied_at, name"))
		.rows;
}

/**
 * Connects, runs `work` and disconnects.
 * @throws StartError if the connection fails or is lost, with the database but never the password
 */
async function connected<T>(
	url: string,
	work: (client: pg.Client) => Promise<T>,
	setting = "DATABASE_URL",
): Promise<T> {
	const address = parse(url, setting);
	const client = new pg.Client({
		connectionString: url,
		connectionTimeoutMillis: CONNECT_MS,
		application_name: MIGRATING,
	});
	// The next query reports a connection that broke between two queries.
	client.on("error", () => undefined);
	try {
		await client.connect();
	} catch (error) {
		throw new StartError(connectionProblem(address, error as Error & { code?: string }, setting));
	}
	try {
		return await work(client);
	} catch (error) {
		if (!isOutage(error)) throw error;
		throw new StartError(
			`the connection to ${address.host}${address.pathname} was lost: ${(error as Error).message}`,
		);
	} finally {
		await client.end();
	}
}

function parse(url: string, setting: string): URL {
	const address = URL.parse(url);
	if (!address)
		throw new StartError(
			`${setting} is not a valid URL: ` +
				"percent-encode special characters in its user and password (/ is %2F, # is %23)",
		);
	return address;
}

function connectionProblem(
	{ hostname, port, pathname, username }: URL,
	{ code, message }: Error & { code?: string },
	setting: string,
): string {
	const name = decodeURIComponent(pathname.slice(1));
	const database = `the database ${name} on ${hostname}:${port || 5432}`;
	if (code === "3D000")
		return (
			`${database} does not exist: ` +
			`run "npm run migrate" with DATABASE_ADMIN_URL set, or correct ${setting}`
		);
	if (code?.startsWith("28"))
		return (
			`${database} rejects the user ${decodeURIComponent(username)} (${message}): ` +
			`correct ${setting}`
		);
	return `${database} cannot be reached (${message || code}): start it, or correct ${setting}`;
}

/**
 * Creates the missing roles and databases of the services. A role owns its database and cannot
 * connect to others.
 * @param admin a connection string of a role that may create roles and databases
 * @param pattern the DATABASE_URL, with `{service}` in it
 * @returns the names of the created databases
 */
export const createDatabases = (
	admin: string,
	pattern: string,
	services: readonly string[],
): Promise<string[]> =>
	connected(admin, (client) => createMissing(client, pattern, services), "DATABASE_ADMIN_URL");

async function createMissing(
	client: pg.Client,
	pattern: string,
	services: readonly string[],
): Promise<string[]> {
	const { escapeIdentifier, escapeLiteral } = client;
	await lock(client);
	const roles = names(
		(await client.query<{ name: string }>("select rolname as name from pg_roles")).rows,
	);
	const databases = names(
		(await client.query<{ name: string }>("select datname as name from pg_database")).rows,
	);
	const created: string[] = [];
	for (const service of services) {
		const { username, password, pathname } = parse(databaseUrl(pattern, service), "DATABASE_URL");
		const [role, database, secret] = [username, pathname.slice(1), password].map(
			decodeURIComponent,
		) as [string, string, string];
		if (!roles.includes(role)) {
			await client.query(
				`create role ${escapeIdentifier(role)} login password ${escapeLiteral(secret)}`,
			);
			// An administrator without superuser rights can give databases only to roles of which it is a
			// member.
			await client.query(`grant ${escapeIdentifier(role)} to current_user`);
			roles.push(role);
		}
		if (!databases.includes(database)) {
			await client.query(
				`create database ${escapeIdentifier(database)} owner ${escapeIdentifier(role)}`,
			);
			databases.push(database);
			created.push(database);
		}
		await client.query(`revoke connect on database ${escapeIdentifier(database)} from public`);
	}
	return created;
}

/** Forces a checkpoint, so that stopping the server takes less time. */
export const forceCheckpoint = (admin: string): Promise<void> =>
	connected(admin, async (client) => void (await client.query("checkpoint")));
