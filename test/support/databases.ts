import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { createDatabases, migrate } from "../../lib/persistence/migrate.ts";
import { hasDatabase, migrationFolders, serviceNames } from "../../lib/settings/node.ts";

export const root = join(import.meta.dirname, "../..");
export const services = join(root, "services");
/** The services that have a database. */
export const domains = serviceNames(services).filter((name) => hasDatabase(root, name));
export const TEMPLATE = "template_";

/** Databases of a test's own, copied from the run's templates. */
export interface Databases {
	/** A DATABASE_URL with `{service}` in it. */
	readonly pattern: string;
	/** Looks into, or meddles with, one service's database. */
	query<Row extends pg.QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
	/** Ends a service's sessions, and lets nobody in any more. */
	cut(service: string): Promise<void>;
	drop(): Promise<void>;
}

/** Makes the databases that those of tests are copied from. @param url of somebody who may make databases */
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

/** @param url of a Postgres with templates; the run's own unless given */
export async function makeDatabases(
	names: readonly string[],
	url = process.env.TEST_POSTGRES!,
): Promise<Databases> {
	const prefix = `t${randomBytes(5).toString("hex")}_`;
	/** For each time anew: a Postgres may have been started again meanwhile. */
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
				`create database ${prefix}${name} template ${TEMPLATE}${name} owner ${name} strategy file_copy`,
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
			// A session that waits may be ended together with Postgres; the next query opens a new one.
			if (!pools.has(service)) pool.on("error", () => undefined);
			pools.set(service, pool);
			return (await pool.query(text, values)).rows;
		},
		cut: (service) =>
			administer(
				`alter database ${prefix}${service} allow_connections false`,
				`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${prefix}${service}'`,
			),
		async drop() {
			await Promise.all([...pools.values()].map((pool) => pool.end()));
			// Not with (force): Postgres waits some seconds for connections that are still closing, where force would fail them loudly.
			await administer(...names.map((name) => `drop database ${prefix}${name}`));
		},
	};
}
