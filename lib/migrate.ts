import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { Umzug } from "umzug";
import { databaseUrl } from "./database.ts";

/** Any number will do, as long as it is always the same one. */
const LOCK = 7_306_417;

/**
 * Brings one service's database to the newest version. Migrations are SQL files, `0001-name.sql` with its way back in `0001-name.down.sql`;
 * each runs in a transaction. An advisory lock makes nodes that start together wait for the first.
 * @param folders where the migrations are; what all services share comes first
 * @returns the names of the migrations that were applied
 */
export async function migrate(url: string, folders: readonly string[]): Promise<string[]> {
	const client = new pg.Client({ connectionString: url });
	await client.connect();
	try {
		await client.query("select pg_advisory_lock($1)", [LOCK]);
		const applied = await umzug(client, folders).up();
		return applied.map(({ name }) => name);
	} finally {
		await client.end();
	}
}

function umzug(client: pg.Client, folders: readonly string[]) {
	const files = folders.flatMap((folder) =>
		readdirSync(folder)
			.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"))
			.sort()
			.map((file) => ({ name: file.slice(0, -4), up: join(folder, file), down: join(folder, file.replace(/\.sql$/, ".down.sql")) })),
	);
	const run = async (path: string) => {
		await client.query("begin");
		try {
			await client.query(readFileSync(path, "utf8"));
			await client.query("commit");
		} catch (error) {
			await client.query("rollback");
			throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
		}
	};
	return new Umzug({
		migrations: files.map(({ name, up, down }) => ({ name, up: () => run(up), down: () => run(down) })),
		logger: undefined,
		storage: {
			async executed() {
				await client.query("create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())");
				const { rows } = await client.query<{ name: string }>("select name from migrations order by name");
				return rows.map(({ name }) => name);
			},
			async logMigration({ name }) {
				await client.query("insert into migrations (name) values ($1)", [name]);
			},
			async unlogMigration({ name }) {
				await client.query("delete from migrations where name = $1", [name]);
			},
		},
	});
}

/**
 * Makes a role and a database for each service where they are missing. A role owns its own database and may not connect to the others'.
 * @param admin a connection string that may create roles and databases
 * @param pattern the DATABASE_URL, with `{service}` in it
 */
export async function createDatabases(admin: string, pattern: string, services: readonly string[]): Promise<void> {
	const client = new pg.Client({ connectionString: admin });
	await client.connect();
	const { escapeIdentifier, escapeLiteral } = client;
	try {
		await client.query("select pg_advisory_lock($1)", [LOCK]);
		const roles = await client.query<{ rolname: string }>("select rolname from pg_roles");
		const databases = await client.query<{ datname: string }>("select datname from pg_database");
		for (const service of services) {
			const { username, password, pathname } = new URL(databaseUrl(pattern, service));
			const [role, database] = [decodeURIComponent(username), decodeURIComponent(pathname.slice(1))];
			const secret = escapeLiteral(decodeURIComponent(password));
			if (!roles.rows.some(({ rolname }) => rolname === role))
				await client.query(`create role ${escapeIdentifier(role)} login password ${secret}`);
			if (databases.rows.some(({ datname }) => datname === database)) continue;
			await client.query(`create database ${escapeIdentifier(database)} owner ${escapeIdentifier(role)}`);
			await client.query(`revoke connect on database ${escapeIdentifier(database)} from public`);
		}
	} finally {
		await client.end();
	}
}
