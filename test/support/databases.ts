import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { createDatabases, migrate } from "../../lib/persistence/migrate.ts";
import { hasDatabase, migrationFolders, serviceNames } from "../../lib/settings/node.ts";
import { eventually } from "./eventually.ts";

export const root = join(import.meta.dirname, "../..");
export const services = join(root, "services");
/** Services with a database. */
export const domains = serviceNames(services).filter((name) => hasDatabase(root, name));
const TEMPLATE = "template_";

/** Databases of one test file, copied from the templates of the test run. */
export interface Databases {
	/** Value for DATABASE_URL, with the placeholder `{service}`. */
	readonly pattern: string;
	/** Runs a statement in a service's database. */
	query<Row extends pg.QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
	/** Terminates a service's sessions and rejects new connections. */
	cut(service: string): Promise<void>;
	drop(): Promise<void>;
}

/**
 * Creates the migrated template databases.
 * @param url of a role that may create databases
 */
export async function makeTemplates(url: string): Promise<void> {
	const { host } = new URL(url);
	const pattern = `postgres://{service}:secret@${host}/${TEMPLATE}{service}`;
	await createDatabases(url, pattern, domains);
	await Promise.all(
		domains.map((service) =>
			migrate(databaseUrl(pattern, service), migrationFolders(root, service)),
		),
	);
}

/** @param url of a Postgres with templates; by default, that of the test run */
export async function makeDatabases(
	names: readonly string[],
	url = process.env.TEST_POSTGRES!,
): Promise<Databases> {
	const prefix = `t${randomBytes(5).toString("hex")}_`;
	/** Uses a new connection each time, because tests may restart Postgres. */
	async function administer(...statements: string[]): Promise<void> {
		const admin = new pg.Client(url);
		await admin.connect();
		try {
			for (const statement of statements) await admin.query(statement);
		} finally {
			await admin.end();
		}
	}
	await administer(
		...names.map(
			(name) =>
				`create database ${prefix}${name} template ${TEMPLATE}${name} owner ${name}
				strategy file_copy`,
		),
	);
	const pattern = `postgres://{service}:secret@${new URL(url).host}/${prefix}{service}`;
	const pools = new Map<string, pg.Pool>();
	return {
		pattern,
		async query(service, text, values) {
			const pool =
				pools.get(service) ??
				new pg.Pool({ connectionString: databaseUrl(pattern, service), max: 2 });
			// An idle connection fails when Postgres stops; the next query opens a new one.
			if (!pools.has(service)) pool.on("error", () => undefined);
			pools.set(service, pool);
			return (await pool.query(text, values)).rows;
		},
		cut: (service) =>
			administer(
				`alter database ${prefix}${service} allow_connections false`,
				"select pg_terminate_backend(pid) from pg_stat_activity " +
					`where datname = '${prefix}${service}'`,
			),
		async drop() {
			await Promise.all([...pools.values()].map((pool) => pool.end()));
			// Without FORCE, which fails connections that are closing. Postgres waits for them for a few
			// seconds, which may be too short on a busy machine.
			await eventually(() =>
				administer(...names.map((name) => `drop database if exists ${prefix}${name}`)),
			);
		},
	};
}
