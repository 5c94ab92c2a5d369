import type { Client, QueryResultRow } from "pg";
import { Sequelize, type Transaction } from "sequelize";

/** A statement with a name of its own: Postgres parses and plans it once per connection. */
export interface Statement {
	readonly name: string;
	readonly text: string;
}
/** Names a statement. The name is unique within a database. */
export const sql = (name: string, text: string): Statement => ({ name, text });

/** Runs statements, on a connection of the pool (each its own transaction) or inside one transaction. Rows come in wire form: times as RFC 3339 text, numeric as number. */
export interface Queryable {
	query<Row extends QueryResultRow>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]>;
}
export interface Tx extends Queryable {
	/** For the Sequelize models: `Model.update(…, { transaction: tx.handle })`. */
	readonly handle: Transaction;
}

export interface DatabaseOptions {
	readonly url: string;
	readonly poolSize: number;
	readonly echo?: (statement: string) => void;
}

/** Postgres' type numbers, and what their text becomes in wire form. */
const wireForm: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
	[20, Number], // bigint: counts
	[1700, Number], // numeric: money
	[1184, (text) => new Date(text).toISOString()], // timestamptz
]);

/** How a pool's connections are used at this moment. */
export interface PoolUse {
	readonly busy: number;
	readonly idle: number;
	/** What waits for a connection. */
	readonly waiting: number;
	readonly limit: number;
}

interface ConnectionManager {
	readonly pool: { readonly using: number; readonly available: number; readonly waiting: number; readonly maxSize: number };
	getConnection(options: { type: "write" }): Promise<Client>;
	releaseConnection(connection: Client): void;
	oidParserMap: Map<number, (text: string) => unknown>;
}

/** One service's database: one pool, shared by Sequelize's models, by moleculer-db's adapter and by prepared statements. */
export class Database implements Queryable {
	readonly sequelize: Sequelize;
	readonly #connections: ConnectionManager;
	readonly #echo: DatabaseOptions["echo"];

	constructor({ url, poolSize, echo }: DatabaseOptions) {
		this.#echo = echo;
		this.sequelize = new Sequelize(url, {
			dialect: "postgres",
			logging: echo ? (statement) => echo(statement) : false,
			pool: { max: poolSize, min: 0, acquire: 30_000, idle: 60_000 },
			dialectOptions: { keepAlive: true },
			define: { timestamps: false, underscored: true },
		});
		this.#connections = (this.sequelize as unknown as { connectionManager: ConnectionManager }).connectionManager;
		// Sequelize fills the map anew whenever it has read the server's types; ours stay.
		const parsers = this.#connections.oidParserMap;
		const set = parsers.set.bind(parsers);
		parsers.set = (oid, parser) => set(oid, wireForm.get(oid) ?? parser);
		for (const [oid, parser] of wireForm) set(oid, parser);
	}

	async query<Row extends QueryResultRow>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]> {
		const connection = await this.#connections.getConnection({ type: "write" });
		try {
			return await this.#run<Row>(connection, statement, values);
		} finally {
			this.#connections.releaseConnection(connection);
		}
	}

	/** Commits when `work` fulfils, rolls back when it rejects. */
	transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
		return this.sequelize.transaction(async (handle) => {
			const { connection } = handle as unknown as { connection: Client };
			return work({ handle, query: (statement, values) => this.#run(connection, statement, values) });
		});
	}

	async #run<Row extends QueryResultRow>(connection: Client, statement: Statement | string, values?: readonly unknown[]): Promise<Row[]> {
		const query = typeof statement === "string" ? { text: statement } : statement;
		this.#echo?.(query.text);
		const { rows } = await connection.query<Row>({ ...query, values: values as unknown[] });
		return rows;
	}

	get use(): PoolUse {
		const { using, available, waiting, maxSize } = this.#connections.pool;
		return { busy: using, idle: available, waiting, limit: maxSize };
	}

	close(): Promise<void> {
		return this.sequelize.close();
	}
}

/** The database of one service: the setting names a pattern, `{service}` in it is the service's name. */
export const databaseUrl = (pattern: string, service: string): string => pattern.replaceAll("{service}", service);
