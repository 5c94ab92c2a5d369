import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { StartError } from "../process/start-error.ts";
import { databaseUrl } from "./database.ts";
import { migrationsIn, runMigration } from "./migration.ts";

const RECORD = "insert into migrations (name) values ($1)";
const ERASE = "delete from migrations where name = $1";
/** Any number will do, as long as it is always the same one. */
const LOCK = 7_306_417;
const CONNECT_MS = 5000;
const LOOK_AGAIN_MS = 50;

/**
 * Brings one service's database to the newest version, file by file (see lib/persistence/migration.ts). An advisory lock makes nodes that start together wait for the first.
 * @param folders where the migrations are; what all services share comes first
 * @returns the names of the migrations that were applied
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
 * Takes the migration back that was applied last; answers its name, or nothing where none is applied.
 * @throws StartError if a newer version has applied it, which alone knows its way back
 */
export const revert = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => {
		await lock(client);
		const newest = (await appliedTo(client)).at(-1)?.name;
		if (newest === undefined) return [];
		const migration = migrationsIn(folders).find(({ name }) => name === newest);
		if (!migration)
			throw new StartError(
				`${newest} was applied by a newer version: revert it with that version, which has its down file`,
			);
		await runMigration(client, migration.down, newest, ERASE);
		return [newest];
	});

/** The migrations that a database lacks. Changes nothing. */
export const pendingMigrations = async (
	url: string,
	folders: readonly string[],
): Promise<string[]> => (await migrationState(url, folders)).missing;

/** Where a database stands. */
export interface MigrationState {
	/** In the order in which they were applied, with those of a newer version. */
	readonly applied: readonly { readonly name: string; readonly applied_at: Date }[];
	/** What is here and was not applied. */
	readonly missing: string[];
	/** What was applied and is not here. */
	readonly newer: string[];
}
/** Changes nothing. */
export const migrationState = (url: string, folders: readonly string[]): Promise<MigrationState> =>
	connected(url, async (client) => {
		const applied = await appliedTo(client);
		const [here, there] = [names(migrationsIn(folders)), names(applied)];
		return {
			applied,
			missing: here.filter((name) => !there.includes(name)),
			newer: there.filter((name) => !here.includes(name)),
		};
	});

const names = (migrations: readonly { readonly name: string }[]) =>
	migrations.map(({ name }) => name);

/** Asked for again and again: who waits inside a statement is waited for by an index that is being built, and neither would ever end. */
async function lock(client: pg.Client): Promise<void> {
	for (;;) {
		const { rows } = await client.query<{ mine: boolean }>(
			"select pg_try_advisory_lock($1) as mine",
			[LOCK],
		);
		if (rows[0]!.mine) return;
		await pause(LOOK_AGAIN_MS);
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

/** @throws StartError if there is no way in, naming the database but never the password */
async function connected<T>(
	url: string,
	work: (client: pg.Client) => Promise<T>,
	setting = "DATABASE_URL",
): Promise<T> {
	const address = parse(url, setting);
	const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
	// A connection that breaks between two queries is noticed by the next one.
	client.on("error", () => undefined);
	try {
		await client.connect();
	} catch (error) {
		throw new StartError(noWayIn(address, error as Error & { code?: string }, setting));
	}
	try {
		return await work(client);
	} finally {
		await client.end();
	}
}

function parse(url: string, setting: string): URL {
	const address = URL.parse(url);
	if (!address)
		throw new StartError(
			`${setting} is no address: percent-encode what is special in its user and password (/ is %2F, # is %23)`,
		);
	return address;
}

function noWayIn(
	{ hostname, port, pathname, username }: URL,
	{ code, message }: Error & { code?: string },
	setting: string,
): string {
	const database = `the database ${decodeURIComponent(pathname.slice(1))} on ${hostname}:${port || 5432}`;
	if (code === "3D000")
		return `${database} does not exist: run "npm run migrate" with DATABASE_ADMIN_URL set, or correct ${setting}`;
	if (code?.startsWith("28"))
		return `${database} does not let ${decodeURIComponent(username)} in (${message}): correct ${setting}`;
	return `${database} cannot be reached (${message || code}): start it, or correct ${setting}`;
}

/**
 * Makes a role and a database for each service where they are missing. A role owns its own database and may not connect to the others'.
 * @param admin a connection string that may create roles and databases
 * @param pattern the DATABASE_URL, with `{service}` in it
 * @returns the names of the databases that were missing
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
	const made: string[] = [];
	for (const service of services) {
		const { username, password, pathname } = parse(databaseUrl(pattern, service), "DATABASE_URL");
		const [role, database, secret] = [username, pathname.slice(1), password].map(
			decodeURIComponent,
		) as [string, string, string];
		if (!roles.includes(role)) {
			await client.query(
				`create role ${escapeIdentifier(role)} login password ${escapeLiteral(secret)}`,
			);
			// An administrator who is no superuser can give databases only to roles that it belongs to.
			await client.query(`grant ${escapeIdentifier(role)} to current_user`);
			roles.push(role);
		}
		if (!databases.includes(database)) {
			await client.query(
				`create database ${escapeIdentifier(database)} owner ${escapeIdentifier(role)}`,
			);
			databases.push(database);
			made.push(database);
		}
		await client.query(`revoke connect on database ${escapeIdentifier(database)} from public`);
	}
	return made;
}

/** Has the server write to its files what is so far only in its log, which stopping it would otherwise have to do. */
export const forceCheckpoint = (admin: string): Promise<void> =>
	connected(admin, async (client) => void (await client.query("checkpoint")));
