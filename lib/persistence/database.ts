import type { Client, QueryResultRow } from "pg";
import { Sequelize, type Transaction } from "sequelize";
import { type SpanDescription, traceWork } from "../observability/tracing/traced-work.ts";
import type { Tracer } from "../observability/tracing/tracing.ts";
import { arrayLiteral } from "./array-literal.ts";
import {
	ACQUIRE_MS,
	boundWaits,
	connectionManagerOf,
	connectionOf,
	dialectModule,
	overrideParsers,
	wrapQueries,
} from "./sequelize-internals.ts";

/** A statement with a name of its own: Postgres parses and plans it once per connection. */
export interface Statement {
	readonly name: string;
	readonly text: string;
}
/**
 * Names a statement. The name is unique within a database. It names its columns as well: what was planned for `*` fails on every connection from when a
 * migration adds a column.
 */
export const sql = (name: string, text: string): Statement => ({ name, text });

/** Runs statements, on a connection of the pool (each its own transaction) or inside one transaction. Rows come in wire form: times as RFC 3339 text, numeric as number. */
export interface Queryable {
	query<Row extends QueryResultRow>(
		statement: Statement | string,
		values?: readonly unknown[],
	): Promise<Row[]>;
}
export interface Tx extends Queryable {
	/** For the Sequelize models: `Model.update(…, { transaction: tx.handle })`. */
	readonly handle: Transaction;
}

export interface DatabaseOptions {
	readonly url: string;
	readonly poolSize: number;
	readonly echo?: (statement: string) => void;
	readonly tracer?: Tracer | undefined;
}

/** Postgres' type numbers, and what their text becomes in wire form. */
const wireForm: ReadonlyMap<number, (text: string) => unknown> = new Map<
	number,
	(text: string) => unknown
>([
	[20, Number], // bigint: counts
	[1700, Number], // numeric: money
	[1184, (text) => new Date(text).toISOString()], // timestamptz
]);

/**
 * What each session tells the planner of statements that are small and many. One costs more to plan than to run with few rows, and its plan is the same however
 * many there are. A page at random costs no more than the next one where disks do not turn: else a thousand rows are read to find twenty. And one that the planner
 * takes for a large one, because it cannot know how little is new in an outbox, must not start other processes or a compiler each time.
 */
const PLANNING = [
	"set plan_cache_mode = force_generic_plan",
	"set random_page_cost = 1.1",
	"set max_parallel_workers_per_gather = 0",
	"set jit = off",
].join(";");

/** How a pool's connections are used at this moment. */
export interface PoolUse {
	readonly busy: number;
	readonly idle: number;
	/** What waits for a connection. */
	readonly waiting: number;
	readonly limit: number;
}

/** One service's database: one pool, shared by Sequelize's models, by moleculer-db's adapter and by prepared statements. */
export class Database implements Queryable {
	readonly sequelize: Sequelize;
	readonly #connections: ReturnType<typeof connectionManagerOf>;
	readonly #echo: DatabaseOptions["echo"];
	readonly #tracer: Tracer | undefined;

	constructor({ url, poolSize, echo, tracer }: DatabaseOptions) {
		this.#echo = echo;
		this.#tracer = tracer;
		this.sequelize = new Sequelize(url, {
			dialect: "postgres",
			dialectModule,
			logging: echo ? (statement) => echo(statement) : false,
			pool: { max: poolSize, min: 0, acquire: ACQUIRE_MS, idle: 60_000 },
			dialectOptions: { keepAlive: true },
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
	 * Runs a statement that inserts what nobody has inserted before. Answers undefined, and nothing has changed, where some of it was there: it met a
	 * unique index. So a hot path inserts without a thought for what is there, which saves Postgres a fifth of the work, and looks closer only then.
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

	/** Commits when `work` fulfils, rolls back when it rejects. */
	transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
		return this.sequelize.transaction(async (handle) => {
			const connection = connectionOf(handle);
			return work({
				handle,
				query: (statement, values) => this.#run(connection, statement, values),
			});
		});
	}

	async #run<Row extends QueryResultRow>(
		connection: Client,
		statement: Statement | string,
		values?: readonly unknown[],
	): Promise<Row[]> {
		const query = typeof statement === "string" ? { text: statement } : statement;
		this.#echo?.(query.text);
		const parameters = values?.map((value) =>
			Array.isArray(value) ? (arrayLiteral(value) ?? value) : value,
		);
		const asked = () => connection.query<Row>({ ...query, values: parameters });
		const { rows } = await (this.#tracer
			? traceWork(
					this.#tracer,
					this.#describe("name" in query ? query.name : verb(query.text)),
					asked,
				)
			: asked());
		return rows;
	}

	get poolUse(): PoolUse {
		const { using, available, waiting, maxSize } = this.#connections.pool;
		return { busy: using, idle: available, waiting, limit: maxSize };
	}

	/** A statement's span shows its name. Neither its text nor its values: what people have told us is in them. */
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

const UNIQUE_VIOLATION = "23505";
/** What a statement without a name does. */
const verb = (text: string): string =>
	/^\s*(start transaction|\w+)/i.exec(text)?.[1]?.toLowerCase() ?? "query";

/** The database of one service: the setting names a pattern, `{service}` in it is the service's name. */
export const databaseUrl = (pattern: string, service: string): string =>
	pattern.replaceAll("{service}", service);
