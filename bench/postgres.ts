import { chmodSync, mkdirSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startEmbeddedPostgres } from "../lib/embedded-postgres.ts";

/** A server of the benchmark's own. Ours is its administrator; what is measured comes in under other users. */
export interface Postgres {
	readonly pid: number;
	/** host:port */
	readonly at: string;
	/** The administrator. */
	readonly user: string;
	/** A connection string of the administrator's. */
	url(database: string): string;
	query<Row extends pg.QueryResultRow>(database: string, text: string, values?: unknown[]): Promise<Row[]>;
	/** Its log, where plans are. */
	readonly log: string;
	stop(): Promise<void>;
}

/** Durable as in production: what costs time there, above all the disk at each commit, costs time here as well. */
const SETTINGS = {
	max_connections: "400",
	max_wal_size: "4GB",
	// Each measurement begins with a checkpoint of ours, and none comes in between.
	checkpoint_timeout: "1h",
	shared_preload_libraries: "pg_stat_statements,auto_explain",
	"pg_stat_statements.max": "10000",
	// Tells whose plan it is.
	log_line_prefix: "%u ",
};

/**
 * @param folder others may enter it
 * @param share of a quarter of the machine's memory, which is what Postgres' manual advises for its buffers
 */
export async function startPostgres(folder: string, name: string, share = 1): Promise<Postgres> {
	const dataDir = join(folder, name);
	mkdirSync(dataDir);
	chmodSync(dataDir, 0o755);
	const shared_buffers = `${Math.floor((totalmem() / 4 / 2 ** 20) * share)}MB`;
	const server = await startEmbeddedPostgres({ dataDir, settings: { ...SETTINGS, shared_buffers } });
	const at = `${server.host}:${server.port}`;
	const url = (database: string) => `postgres://${server.user}:${server.password}@${at}/${database}`;
	const pools = new Map<string, pg.Pool>();
	const query: Postgres["query"] = async (database, text, values) => {
		const pool = pools.get(database) ?? new pg.Pool({ connectionString: url(database), max: 2 });
		if (!pools.has(database)) pool.on("error", () => undefined);
		pools.set(database, pool);
		return (await pool.query(text, values)).rows;
	};
	await query("postgres", "create extension pg_stat_statements");
	return {
		pid: server.pid,
		at,
		user: server.user,
		url,
		query,
		log: join(dataDir, "postgres.log"),
		async stop() {
			await Promise.all([...pools.values()].map((pool) => pool.end().catch(() => undefined)));
			await server.stop();
		},
	};
}

/** What a server has done so far. */
export interface Work {
	/** Statements of other users than the administrator, in some of its databases. */
	readonly statements: number;
	/** Transactions that wrote something; these wait for the disk when they commit. */
	readonly commits: number;
}
/**
 * Exact at any moment, which the counters of pg_stat_database are not: sessions report to those now and then. Transactions are counted by
 * their numbers, which only those get that write.
 */
export async function workOf(server: Postgres, databases: readonly string[]): Promise<Work> {
	const [row] = await server.query<{ statements: string; commits: string }>(
		"postgres",
		`select (select coalesce(sum(calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid
			where d.datname = any($1) and s.userid <> current_user::regrole) as statements, pg_snapshot_xmax(pg_current_snapshot())::text as commits`,
		[databases],
	);
	return { statements: Number(row!.statements), commits: Number(row!.commits) };
}

export interface StatementTime extends Record<string, unknown> {
	readonly database: string;
	readonly calls: number;
	readonly ms: number;
	readonly mean_us: number;
	/** Pages that were not in Postgres' buffers, and pages that went into the log whole, for each call. */
	readonly read: number;
	readonly whole: number;
	readonly query: string;
}
/** The statements that took longest since `forgetStatements`, in these databases. */
export const slowest = (server: Postgres, databases: readonly string[]): Promise<StatementTime[]> =>
	server.query<StatementTime>(
		"postgres",
		`select d.datname as database, calls::int, round(total_exec_time)::int as ms, round(mean_exec_time * 1000)::int as mean_us,
			shared_blks_read::float8 / calls as read, wal_fpi::float8 / calls as whole, regexp_replace(query, '\\s+', ' ', 'g') as query
		from pg_stat_statements s join pg_database d on d.oid = s.dbid
		where d.datname = any($1) and s.userid <> current_user::regrole order by total_exec_time desc limit 20`,
		[databases],
	);
export const forgetStatements = (server: Postgres) => server.query("postgres", "select pg_stat_statements_reset()");
