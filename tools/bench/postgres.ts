import { chmodSync, mkdirSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startEmbeddedPostgres } from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { SLOW_STATEMENT_MS } from "./stalls.ts";

/**
 * Postgres server of the benchmark. The queries of the benchmark run as administrator; the targets
 * connect as other users, so that their statements can be counted separately.
 */
export interface Postgres {
	readonly pid: number;
	/** `host:port` */
	readonly address: string;
	/** Name of the administrator. */
	readonly user: string;
	/** Connection string of the administrator. */
	url(database: string): string;
	query<Row extends pg.QueryResultRow>(
		database: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
	/** Process IDs of the administrator's sessions, none of which ends before the server stops. */
	ownSessions(): Promise<number[]>;
	/** Path of the server log, which contains the plans of auto_explain. */
	readonly log: string;
	stop(): Promise<void>;
}

/** Durability stays at its defaults: every commit waits for the disk, as in production. */
const SETTINGS = {
	max_connections: "400",
	max_wal_size: "4GB",
	// Each measurement starts with an explicit checkpoint; none may run during it.
	checkpoint_timeout: "1h",
	shared_preload_libraries: "pg_stat_statements,auto_explain",
	"pg_stat_statements.max": "10000",
	// The user name attributes each plan to a service. The time is in epoch seconds.
	log_line_prefix: "%u %n ",
};
/** Only the sessions themselves run queries, and remain, so that their work can be subtracted. */
const POOL = { max: 2, idleTimeoutMillis: 0, options: "-c max_parallel_workers_per_gather=0" };
/** Logs what can delay requests, see stalls.ts. */
const LOG_STALLS = {
	log_min_duration_statement: `${SLOW_STATEMENT_MS}ms`,
	log_autovacuum_min_duration: "0",
};

/**
 * Starts a Postgres server with its data in `folder/name`.
 *
 * @param folder must be accessible to other users: Postgres does not run as root
 * @param share of a quarter of the machine's memory, the manual's advice for `shared_buffers`
 * @param stalls whether the log contains slow statements and autovacuums
 */
export async function startPostgres(
	folder: string,
	name: string,
	share = 1,
	stalls = false,
): Promise<Postgres> {
	const dataDir = join(folder, name);
	mkdirSync(dataDir);
	chmodSync(dataDir, 0o755);
	const shared_buffers = `${Math.floor((totalmem() / 4 / 2 ** 20) * share)}MB`;
	const server = await startEmbeddedPostgres({
		dataDir,
		settings: { ...SETTINGS, ...(stalls ? LOG_STALLS : {}), shared_buffers },
	});
	const address = `${server.host}:${server.port}`;
	const url = (database: string) =>
		`postgres://${server.user}:${server.password}@${address}/${database}`;
	const pools = new Map<string, pg.Pool>();
	const query: Postgres["query"] = async (database, text, values) => {
		const pool = pools.get(database) ?? new pg.Pool({ connectionString: url(database), ...POOL });
		if (!pools.has(database)) pool.on("error", () => undefined);
		pools.set(database, pool);
		return (await pool.query(text, values)).rows;
	};
	await query("postgres", "create extension pg_stat_statements");
	return {
		pid: server.pid,
		address,
		user: server.user,
		url,
		query,
		async ownSessions() {
			const rows = await query<{ pid: number }>(
				"postgres",
				"select pid from pg_stat_activity where usename = current_user",
			);
			return rows.map(({ pid }) => pid);
		},
		log: join(dataDir, "postgres.log"),
		async stop() {
			await Promise.all([...pools.values()].map((pool) => pool.end().catch(() => undefined)));
			await server.stop();
		},
	};
}

/** Cumulative work of a server. */
interface ServerWork {
	/** Statements in the given databases, without those of the administrator. */
	readonly statements: number;
	/** Transactions that wrote rows. Only these wait for the disk when they commit. */
	readonly commits: number;
}
/**
 * Reads the cumulative work of a server. The result is exact at any time; the counters of
 * pg_stat_database lag behind because sessions report to them at intervals. Commits are counted by
 * transaction id, which Postgres assigns only to transactions that write.
 */
export async function readWork(
	server: Postgres,
	databases: readonly string[],
): Promise<ServerWork> {
	const [row] = await server.query<{ statements: string; commits: string }>(
		"postgres",
		`select (select coalesce(sum(calls), 0) from pg_stat_statements s
			join pg_database d on d.oid = s.dbid
			where d.datname = any($1) and s.userid <> current_user::regrole) as statements,
				pg_snapshot_xmax(pg_current_snapshot())::text as commits`,
		[databases],
	);
	return { statements: Number(row!.statements), commits: Number(row!.commits) };
}

interface StatementTime extends Record<string, unknown> {
	readonly database: string;
	readonly calls: number;
	readonly ms: number;
	readonly mean_us: number;
	/** Pages per call that were not in shared_buffers. */
	readonly pages_read: number;
	/** Full-page images in the WAL per call. */
	readonly full_page_images: number;
	readonly query: string;
}
/** Returns the 20 statements with the highest total time since `resetStatements`. */
export const slowestStatements = (
	server: Postgres,
	databases: readonly string[],
): Promise<StatementTime[]> =>
	server.query<StatementTime>(
		"postgres",
		`select d.datname as database, calls::int, round(total_exec_time)::int as ms,
			round(mean_exec_time * 1000)::int as mean_us,
			shared_blks_read::float8 / calls as pages_read,
			wal_fpi::float8 / calls as full_page_images, regexp_replace(query, '\\s+', ' ', 'g') as query
		from pg_stat_statements s join pg_database d on d.oid = s.dbid
		where d.datname = any($1) and s.userid <> current_user::regrole
			order by total_exec_time desc limit 20`,
		[databases],
	);
export const resetStatements = (server: Postgres) =>
	server.query("postgres", "select pg_stat_statements_reset()");
