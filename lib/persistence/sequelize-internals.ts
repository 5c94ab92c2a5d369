import type { Socket } from "node:net";
import pg, { type Client, type ClientConfig } from "pg";
import {
	ConnectionAcquireTimeoutError,
	type Model,
	type ModelStatic,
	Op,
	type Sequelize,
} from "sequelize";
import { timeLeft } from "../context/call-context.ts";

/*
 * The only file that uses private members of pg's client, and of Sequelize's connection manager, of
 * its pool, of its type parsers and of its query generator. sequelize-internals.test.ts fails if an
 * upgrade changes them.
 */

/**
 * Milliseconds that a request outside a call waits for a connection: half of a call's time limit.
 */
export const ACQUIRE_MS = 5000;
/** Requests per connection that may wait. More would only queue calls that have timed out. */
const WAITING_PER_CONNECTION = 100;

/** The used part of sequelize-pool. */
interface ConnectionPool {
	readonly using: number;
	readonly available: number;
	readonly waiting: number;
	readonly maxSize: number;
	/** Read by each `acquire`, before it returns. */
	acquireTimeoutMillis: number;
	acquire(): Promise<Client>;
}
interface ConnectionManager {
	readonly pool: ConnectionPool;
	getConnection(options: { type: "write" }): Promise<Client>;
	releaseConnection(connection: Client): void;
	oidParserMap: Map<number, (text: string) => unknown>;
}

/**
 * Handles a connection's errors from its creation. Sequelize adds its listener slightly later; a
 * server that ends all sessions may send an error before that, and an unhandled one ends the
 * process.
 */
class ErrorHandlingClient extends pg.Client {
	constructor(config: ClientConfig) {
		super(config);
		// Sequelize's pool discards a connection with this mark.
		this.on("error", () => Object.assign(this, { _invalid: true }));
	}
}
/**
 * The `dialectModule` of a Sequelize: pg with a client that survives early errors, and that ends a
 * connection on which a statement gets no response.
 * @param statementMs milliseconds without a response
 */
export const dialectModule = (statementMs: number): object => {
	class LimitedClient extends ErrorHandlingClient {
		constructor(config: ClientConfig) {
			super(config);
			this.once("connect", () => endIfSilent(this, statementMs));
		}
	}
	return Object.create(pg, { Client: { value: LimitedClient } });
};

/** The used part of pg's client. */
interface ClientState {
	readonly connection: { readonly stream: Socket };
	/** False while a statement is executed. */
	readonly readyForQuery: boolean;
	readonly _ending: boolean;
}
const stateOf = (client: unknown): ClientState => client as ClientState;

/**
 * Ends a connection that waits for the server and gets no data. The kernel retransmits for about 15
 * minutes to a host that has vanished. The socket's own timer is refreshed with its data, so that a
 * statement costs no timer, and it does not keep the process running.
 */
function endIfSilent(client: Client, milliseconds: number): void {
	const { stream } = stateOf(client).connection;
	stream.setTimeout(milliseconds);
	stream.on("timeout", () => {
		const { readyForQuery, _ending } = stateOf(client);
		if (readyForQuery && !_ending) return;
		const error = new Error(`Postgres sent no response for ${stream.timeout} ms`);
		// A code that `isOutage` accepts: the statement may have taken effect.
		stream.destroy(Object.assign(error, { code: "ETIMEDOUT" }));
	});
}
/** Replaces the time limit for a response on a connection. */
export const limitSilence = (client: Client, milliseconds: number): void =>
	void stateOf(client).connection.stream.setTimeout(milliseconds);

/** The connection manager of Sequelize, which its types do not declare. */
export const connectionManagerOf = (sequelize: Sequelize): ConnectionManager =>
	(sequelize as unknown as { connectionManager: ConnectionManager }).connectionManager;

/** The connection of a managed transaction. */
export const connectionOf = (transaction: object): Client =>
	(transaction as { connection: Client }).connection;

/**
 * Bounds the queue of a pool, and limits each wait for a connection to the time limit of its call.
 * `isOutage` accepts both failures: a client gets 503, and a batch is not split.
 */
export function boundWaits(pool: ConnectionPool): void {
	const acquire = pool.acquire.bind(pool);
	const refuse = (message: string) =>
		Promise.reject(new ConnectionAcquireTimeoutError(new Error(message)));
	pool.acquire = () => {
		if (pool.waiting >= pool.maxSize * WAITING_PER_CONNECTION)
			return refuse("Too many requests wait for a database connection");
		const left = timeLeft();
		// A handler may clean up after its call has ended, unless that delays another call.
		if (left <= 0 && pool.using >= pool.maxSize)
			return refuse("The call ended before it got a database connection");
		pool.acquireTimeoutMillis = left > 0 ? Math.min(ACQUIRE_MS, left) : ACQUIRE_MS;
		return acquire();
	};
}

/**
 * Sets parsers by Postgres type OID, and preserves them when Sequelize loads the server's types.
 */
export function overrideParsers(
	{ oidParserMap }: ConnectionManager,
	parsers: ReadonlyMap<number, (text: string) => unknown>,
): void {
	const set = oidParserMap.set.bind(oidParserMap);
	oidParserMap.set = (oid, parser) => set(oid, parsers.get(oid) ?? parser);
	for (const [oid, parser] of parsers) set(oid, parser);
}

type Query = (statement: unknown, options?: { model?: { name: string } }) => Promise<unknown>;
/**
 * Wraps every statement that Sequelize itself runs: those of models, and the beginning and end of
 * transactions.
 */
export function wrapQueries(
	sequelize: Sequelize,
	wrap: <R>(text: string, model: string | undefined, run: () => Promise<R>) => Promise<R>,
): void {
	const query = sequelize.query.bind(sequelize) as Query;
	const wrapped: Query = (statement, options) => {
		const text = typeof statement === "string" ? statement : (statement as { query: string }).query;
		return wrap(text, options?.model?.name, () => query(statement, options));
	};
	Object.assign(sequelize, { query: wrapped });
}

interface QueryGenerator {
	selectQuery(
		table: unknown,
		options: { attributes: string[]; where: object },
		model: ModelStatic<Model>,
	): string;
}
/**
 * A statement that selects columns of a model's rows, in its default scope. Sequelize only runs its
 * own count, which has no limit and cannot be explained.
 */
export function selectColumns(model: ModelStatic<Model>, columns: string[], where: object): string {
	const generator = model.sequelize!.getQueryInterface().queryGenerator as QueryGenerator;
	const { where: scope = {} } = model.options.defaultScope ?? {};
	return generator
		.selectQuery(
			model.getTableName(),
			{ attributes: columns, where: { [Op.and]: [scope, where] } },
			model,
		)
		.replace(/;$/, "");
}
