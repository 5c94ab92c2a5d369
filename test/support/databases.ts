import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { hasDatabase, serviceNames } from "../../lib/node.ts";

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
	query<Row extends pg.QueryResultRow>(service: string, text: string, values?: unknown[]): Promise<Row[]>;
	drop(): Promise<void>;
}

export async function makeDatabases(names: readonly string[]): Promise<Databases> {
	const admin = new pg.Client(process.env.TEST_POSTGRES);
	await admin.connect();
	const prefix = `t${randomBytes(5).toString("hex")}_`;
	for (const name of names) {
		await admin.query(`create database ${prefix}${name} template ${TEMPLATE}${name} owner ${name} strategy file_copy`);
	}
	const { host, port } = new URL(process.env.TEST_POSTGRES!);
	const pools = new Map<string, pg.Pool>();
	const { hostname } = new URL(`http://${host}`);
	return {
		pattern: `postgres://{service}:secret@${hostname}:${port}/${prefix}{service}`,
		async query(service, text, values) {
			const pool =
				pools.get(service) ??
				new pg.Pool({ connectionString: `postgres://${service}:secret@${hostname}:${port}/${prefix}${service}`, max: 2 });
			pools.set(service, pool);
			return (await pool.query(text, values)).rows;
		},
		async drop() {
			await Promise.all([...pools.values()].map((pool) => pool.end()));
			// Not with (force): Postgres waits some seconds for connections that are still closing, where force would fail them loudly.
			for (const name of names) await admin.query(`drop database ${prefix}${name}`);
			await admin.end();
		},
	};
}
