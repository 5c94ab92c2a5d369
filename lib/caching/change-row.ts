import type { Database, Tx } from "../persistence/database.ts";
import type { Cached } from "./lease-cache.ts";

/** A service that caches rows of its database. */
export interface CachesRows<Row> {
	readonly db: Database;
	readonly rows: Cached<Row>;
}

/**
 * Runs a transaction that changes one row. Until it has committed, no node caches that row or a
 * result that was computed from the service's rows; entries from before the change are invalid.
 */
export const changeRow = <Row, Result>(
	{ db, rows }: CachesRows<Row>,
	id: string,
	change: (tx: Tx) => Promise<Result>,
): Promise<Result> => rows.whileInvalidated([id], () => db.transaction(change));
