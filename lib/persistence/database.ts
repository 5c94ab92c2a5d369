import type { Client, QueryConfig, QueryResult, QueryResultRow } from "pg";
import { Sequelize, type Transaction } from "sequelize";
import { type SpanDescription, traceWork } from "../observability/tracing/traced-work.ts";
import type { Tracer } from "../observability/tracing/tracing.ts";
import { arrayLiteral, fromJsonList, jsonList } from "./array-literal.ts";
import {
	ACQUIRE_MS,
	boundWaits,
	connectionManagerOf,
	connectionOf,
	dialectModule,
	limitSilence,
	overrideParsers,
	wrapQueries,
} from "./sequelize-internals.ts";

/** A named statement, which Postgres parses and plans once per connection. */
export interface Statement {
	readonly name: string;
	readonly text: string;
	/** Positions in `values` of the parameters that a {@link jsonList} passes; from 0. */
	readonly jsonLists: ReadonlySet<number>;
}
/**
 * Creates a named statement. The name is unique within a database. The text lists its columns: a
 * plan for `*` fails on every connection after a migration adds a column. A parameter of type
 * `json[]` is passed as a {@link jsonList}.
 */
export const sql = (name: string, text: string): Statement => ({ name, ...acceptJsonLists(text) });

const JSON_ARRAY = /\$(\d+)::json\[\]/g;
function acceptJsonLists(text: string): Pick<Statement, "text" | "jsonLists"> {
	const jsonLists = new Set<number>();
	const accepting = text.replace(JSON_ARRAY, (_, number) => {
		jsonLists.add(Number(number) - 1);
		return fromJsonList(`$${number}`);
	});
	return { text: accepting, jsonLists };
}

/**
 * Runs statements, each on a pooled connection in its own transaction, or all in one transaction.
 * Rows are in wire form: times as RFC 3339 text, numeric as number.
 */
export interface Queryable {
	query<Row extends QueryResultRow>(
		statement: Statement | string,
		values?: readonly unknown[],
	): Promise<Row[]>;
}
export interface Tx extends Queryable {
	/** For Sequelize models: `Model.update(…, { transaction: tx.handle })`. */
	readonly handle: Transaction;
	/** Replaces the time limit of the transaction's statements, in milliseconds. */
	limitStatements(milliseconds: number): void;
}

interface DatabaseOptions {
	readonly url: string;
	readonly poolSize: number;
	readonly echo?: (statement: string) => void;
	readonly tracer?: Tracer | undefined;
	/** Milliseconds without a response after which a statement fails; {@link STATEMENT_MS}. */
	readonly statementMs?: number;
}

/**
 * Milliseconds without a response after which a statement fails, with an error that `isOutage`
 * accepts, and its connection is closed: the host of Postgres may have vanished. More than any
 * statement needs that does not set a limit of its own.
 */
const STATEMENT_MS = 60_000;

/** Parsers of the wire form by Postgres type OID. */
const wireForm: ReadonlyMap<number, (text: string) => unknown> = new Map<
	number,
	(text: string) => unknown
>([
	[20, Number], // bigint: counts
	[1700, Number], // numeric: money
	[1184, (text) => new Date(text).toISOString()], // timestamptz
]);

/**
 * Planner settings of every session, for small and frequent statements. A generic plan: planning
 * costs more than running them, and the plan is the same for any number of rows. A low random page
 * cost for SSDs: otherwise a thousand rows are read to find twenty. No parallel workers and no JIT:
 * the planner cannot estimate how few rows of an outbox are new, and would start them each time.
 */
const PLANNING = [
	"set plan_cache_mode = force_generic_plan",
	"set random_page_cost = 1.1",
	"set max_parallel_workers_per_gather = 0",
	"set jit = off",
].join(";");

/** Current use of a pool's connections. */
interface PoolUse {
	readonly busy: number;
	readonly idle: number;
	/** Requests that wait for a connection. */
	readonly waiting: number;
	readonly limit: number;
}

/**
 * The database of one service: one pool, shared by Sequelize's models, moleculer-db's adapter and
 * prepared statements.
 */
export class Database implements Queryable {
	readonly sequelize: Sequelize;
	readonly #connections: ReturnType<typeof connectionManagerOf>;
	readonly #echo: DatabaseOptions["echo"];
	readonly #tracer: Tracer | undefined;
	readonly #statementMs: number;

	constructor({ url, poolSize, echo, tracer, statementMs = STATEMENT_MS }: DatabaseOptions) {
		this.#echo = echo;
		this.#tracer = tracer;
		this.#statementMs = statementMs;
		this.sequelize = new Sequelize(url, {
			dialect: "postgres",
			dialectModule: dialectModule(statementMs),
			logging: echo ? (statement) => echo(statement) : false,
			pool: { max: poolSize, min: 0, acquire: ACQUIRE_MS, idle: 60_000 },
			dialectOptions: { keepAlive: true, connectionTimeoutMillis: CONNECT_MS },
			define: { timestamps: false, underscored: true },
		});
		this.sequelize.addHook("afterConnect", (connection) =>
			(connection as Client).query(PLANNING).then(() => undefined),
		);
		this.#connections = connectionManagerOf(this.sequelize);
		boundWaits(this.#connections.pool);
		overrideParsers(this.#connections, wireForm);
		if (tracer)
			wrapQueries(this.sequelize, (text, model, run) =>
				traceWork(tracer, this.#describe(model ? `${verb(text)} ${model}` : verb(text)), run),
			);
	}

	async query<Row extends QueryResultRow>(
		statement: Statement | string,
		values?: readonly unknown[],
	): Promise<Row[]> {
		const connection = await this.#connections.getConnection({ type: "write" });
		try {
			return await this.#run<Row>(connection, statement, values);
		} finally {
			this.#connections.releaseConnection(connection);
		}
	}

	/**
	 * Runs an optimistic insert, which assumes that none of its rows exists. On a hot path this saves
	 * a fifth of the work in Postgres compared with a check for existing rows.
	 * @returns undefined, with nothing changed, if a row violates a unique index
	 */
	async insertNew<Row extends QueryResultRow>(
		statement: Statement,
		values: readonly unknown[],
	): Promise<Row[] | undefined> {
		try {
			return await this.query<Row>(statement, values);
		} catch (error) {
			if ((error as { code?: string }).code === UNIQUE_VIOLATION) return undefined;
			throw error;
		}
	}

	/** Commits when `work` fulfills, and rolls back when it rejects. */
	transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
		return this.sequelize.transaction(async (handle) => {
			const connection = connectionOf(handle);
			let limited = false;
			try {
				return await work({
					handle,
					query: (statement, values) => this.#run(connection, statement, values),
					limitStatements(milliseconds) {
						limited = true;
						limitSilence(connection, milliseconds);
					},
				});
			} finally {
				if (limited) limitSilence(connection, this.#statementMs);
			}
		});
	}

	async #run<Row extends QueryResultRow>(
		connection: Client,
		statement: Statement | string,
		values?: readonly unknown[],
	): Promise<Row[]> {
		const { jsonLists = undefined, ...query } =
			typeof statement === "string" ? { text: statement } : statement;
		this.#echo?.(query.text);
		const parameters = values?.map((value, i) => {
			if (!Array.isArray(value)) return value;
			return jsonLists?.has(i) ? jsonList(value) : (arrayLiteral(value) ?? value);
		});
		const run = () => execute<Row>(connection, { ...query, values: parameters });
		const { rows } = await (this.#tracer
			? traceWork(
					this.#tracer,
					this.#describe("name" in query ? query.name : verb(query.text)),
					run,
				)
			: run());
		return rows;
	}

	get poolUse(): PoolUse {
		const { using, available, waiting, maxSize } = this.#connections.pool;
		return { busy: using, idle: available, waiting, limit: maxSize };
	}

	/**
	 * Describes the span of a statement by its name, never its text or values: they contain personal
	 * data.
	 */
	#describe(name: string): SpanDescription {
		const attributes = () => ({
			"db.system": "postgresql",
			"db.name": this.sequelize.config.database,
			"db.operation.name": name,
		});
		return { kind: "client", name: () => name, attributes };
	}

	close(): Promise<void> {
		return this.sequelize.close();
	}
}

/**
 * Runs a statement. With a callback, because the promises of `Client.query` keep each result
 * reachable for minor garbage collections: V8 copies every result twice, and keeps it in memory
 * until the next full collection.
 */
const execute = <Row extends QueryResultRow>(
	connection: Client,
	query: QueryConfig,
): Promise<QueryResult<Row>> =>
	new Promise((resolve, reject) => {
		connection.query<Row>(query, (error, result) => {
			if (error) {
				// The stack of a server's error is that of its socket.
				Error.captureStackTrace(error);
				reject(error);
			} else resolve(result);
		});
	});

const UNIQUE_VIOLATION = "23505";
/** The operation of an unnamed statement. */
const verb = (text: string): string =>
	/^\s*(start transaction|\w+)/i.exec(text)?.[1]?.toLowerCase() ?? "query";

/**
 * Time limit for a connection that checks, migrates or locks a database. A process that is loading
 * its modules on a busy machine reads the server's responses late.
 */
export const CONNECT_MS = 15_000;

/** The URL of one service's database: `{service}` in the pattern is the service's name. */
export const databaseUrl = (pattern: string, service: string): string =>
	pattern.replaceAll("{service}", service);
