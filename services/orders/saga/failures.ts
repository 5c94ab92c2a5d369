import type { Database, Queryable } from "../../../lib/persistence/database.ts";
import { FIND_FAILURES, PRUNE_FAILURES, PRUNE_LIMIT } from "./statements.ts";

/** A recorded failure of a step, see `StepFailure`. */
export interface FailureRecord {
	/** Run of the saga. */
	readonly attempt: number;
	readonly step: string;
	readonly tries: number;
	readonly error: string;
	readonly is_last: boolean;
	readonly traceparent: string | null;
	readonly time: string;
}
/** The last failures of an order's steps, oldest first. */
export const findFailures = (db: Queryable, order_id: string): Promise<FailureRecord[]> =>
	db.query<FailureRecord & Record<string, unknown>>(FIND_FAILURES, [order_id]);

/** Deletes failures that are older than `hours`. @returns whether there may be more */
export const pruneFailures = async (db: Database, hours: number): Promise<boolean> => {
	const [row] = await db.query<{ count: number }>(PRUNE_FAILURES, [hours]);
	return row!.count === PRUNE_LIMIT;
};
