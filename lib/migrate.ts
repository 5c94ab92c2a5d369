import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { Umzug } from "umzug";
import { databaseUrl } from "./database.ts";
import { StartError } from "./start-error.ts";

/** Any number will do, as long as it is always the same one. */
const LOCK = 7_306_417;
const CONNECT_MS = 5000;

/**
 * Brings one service's database to the newest version. Migrations are SQL files, `0001-name.sql` with its way back in `0001-name.down.sql`;
 * each runs in a transaction. An advisory lock makes nodes that start together wait for the first.
 * @param folders where the migrations are; what all services share comes first
 * @returns the names of the migrations that were applied
 */
export const migrate = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => {
		await client.query("select pg_advisory_lock($1)", [LOCK]);
		return names(await umzug(client, folders).up());
	});

/** Takes the newest applied migration back; answers its name, or nothing where none is applied. */
export const revert = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => {
		await client.query("select pg_advisory_lock($1)", [LOCK]);
		return names(await umzug(client, folders).down());
	});

/** The migrations that a database lacks. Changes nothing. */
export const pendingMigrations = (url: string, folders: readonly string[]): Promise<string[]> =>
	connected(url, async (client) => names(await umzug(client, folders).pending()));

const names = (migrations: { name: string }[]) => migrations.map(({ name }) => name);

/** @throws StartError if there is no way in, naming the database but never the password */
async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>, setting = "DATABASE_URL"): Promise<T> {
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
		throw new StartError(`${setting} is no address: percent-encode what is special in its user and password (/ is %2F, # is %23)`);
	return address;
}

function noWayIn({ hostname, port, pathname, username }: URL, { code, message }: Error & { code?: string }, setting: string): string {
	const database = `the database ${decodeURIComponent(pathname.slice(1))} on ${hostname}:${port || 5432}`;
	if (code === "3D000") return `${database} does not exist: run "npm run migrate" with DATABASE_ADMIN_URL set, or correct ${setting}`;
	if (code?.startsWith("28")) return `${database} does not let ${decodeURIComponent(username)} in (${message}): correct ${setting}`;
	return `${database} cannot be reached (${message || code}): start it, or correct ${setting}`;
}

function umzug(client: pg.Client, folders: readonly string[]) {
	const files = folders.flatMap((folder) =>
		readdirSync(folder)
			.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"))
			.sort()
			.map((file) => ({ name: file.slice(0, -4), up: join(folder, file), down: join(folder, file.replace(/\.sql$/, ".down.sql")) })),
	);
	/** A change and the note of it in one transaction: a process that dies in between leaves both or none. */
	const run = async (path: string, note: string, name: string) => {
		await client.query("begin");
		try {
			await client.query(readFileSync(path, "utf8"));
			await client.query("create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())");
			await client.query(note, [name]);
			await client.query("commit");
		} catch (error) {
			await client.query("rollback");
			throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
		}
	};
	return new Umzug({
		migrations: files.map(({ name, up, down }) => ({
			name,
			up: () => run(up, "insert into migrations (name) values ($1)", name),
			down: () => run(down, "delete from migrations where name = $1", name),
		})),
		logger: undefined,
		storage: {
			async executed() {
				const tables = await client.query("select from pg_tables where schemaname = current_schema and tablename = 'migrations'");
				if (tables.rowCount === 0) return [];
				return names((await client.query<{ name: string }>("select name from migrations order by name")).rows);
			},
			logMigration: async () => undefined,
			unlogMigration: async () => undefined,
		},
	});
}

/**
 * Makes a role and a database for each service where they are missing. A role owns its own database and may not connect to the others'.
 * @param admin a connection string that may create roles and databases
 * @param pattern the DATABASE_URL, with `{service}` in it
 * @returns the names of the databases that were missing
 */
export const createDatabases = (admin: string, pattern: string, services: readonly string[]): Promise<string[]> =>
	connected(admin, (client) => createMissing(client, pattern, services), "DATABASE_ADMIN_URL");

async function createMissing(client: pg.Client, pattern: string, services: readonly string[]): Promise<string[]> {
	const { escapeIdentifier, escapeLiteral } = client;
	await client.query("select pg_advisory_lock($1)", [LOCK]);
	const roles = names((await client.query<{ name: string }>("select rolname as name from pg_roles")).rows);
	const databases = names((await client.query<{ name: string }>("select datname as name from pg_database")).rows);
	const made: string[] = [];
	for (const service of services) {
		const { username, password, pathname } = parse(databaseUrl(pattern, service), "DATABASE_URL");
		const [role, database, secret] = [username, pathname.slice(1), password].map(decodeURIComponent) as [string, string, string];
		if (!roles.includes(role)) {
			await client.query(`create role ${escapeIdentifier(role)} login password ${escapeLiteral(secret)}`);
			// An administrator who is no superuser can give databases only to roles that it belongs to.
			await client.query(`grant ${escapeIdentifier(role)} to current_user`);
			roles.push(role);
		}
		if (!databases.includes(database)) {
			await client.query(`create database ${escapeIdentifier(database)} owner ${escapeIdentifier(role)}`);
			databases.push(database);
			made.push(database);
		}
		await client.query(`revoke connect on database ${escapeIdentifier(database)} from public`);
	}
	return made;
}

/** Has the server write to its files what is so far only in its log, which stopping it would otherwise have to do. */
export const checkpoint = (admin: string): Promise<void> => connected(admin, async (client) => void (await client.query("checkpoint")));
