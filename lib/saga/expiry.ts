import { type Database, type Statement, sql } from "../persistence/database.ts";

/**
 * Outcome of a saga, for a service that holds resources for it. A saga is written before or while
 * its first step is executed, and later than that only if it was interrupted. Its next call of the
 * step then finds the tombstone. So `unknown` is as final as `cancelled`.
 */
type SagaOutcome = "open" | "confirmed" | "cancelled" | "unknown";

interface HoldStatements {
	readonly extendExpired: Statement;
	readonly keep: Statement;
}
/** Number of expired holds that one poll handles. */
const EXPIRY_BATCH_SIZE = 500;

/**
 * Statements on a table of holds: resources that are held for sagas until they end. Its columns are
 * `order_id` (the saga), `status` and `expires_at`.
 * @param held status of an open hold
 */
export const holdStatements = (table: string, held: string): HoldStatements => ({
	/**
	 * Claims expired holds: extending them by `$1` seconds hides them from other nodes. Rows that
	 * another transaction has locked are skipped.
	 */
	extendExpired: sql(
		"put_off",
		`update ${table} set expires_at = now() + make_interval(secs => $1) where order_id in (
			select order_id from ${table} where status = '${held}' and expires_at < now()
			order by expires_at limit ${EXPIRY_BATCH_SIZE} for update skip locked)
		returning order_id`,
	),
	/** Removes the expiry of confirmed sagas' holds. */
	keep: sql(
		"keep",
		`update ${table} set expires_at = null where order_id in (
			select order_id from ${table} where order_id = any($1::uuid[]) and status = '${held}'
			order by order_id for update)`,
	),
});

interface ExpiryOptions {
	readonly db: Database;
	readonly statements: HoldStatements;
	/** Lifetime of a hold, and of each extension. */
	readonly seconds: number;
	outcomesOf(ids: string[]): Promise<readonly SagaOutcome[]>;
	/** Ends holds. Leaves tombstones, which reject a late hold. */
	release(ids: string[]): Promise<unknown>;
}

/**
 * Requests the outcomes of sagas whose holds have expired, and releases the holds of those that
 * will never be confirmed. Expiry alone releases nothing: an open saga keeps its hold.
 * @returns whether more holds may have expired
 */
export async function expireHolds(options: ExpiryOptions): Promise<boolean> {
	const { db, statements, seconds } = options;
	const rows = await db.query<{ order_id: string }>(statements.extendExpired, [seconds]);
	if (rows.length === 0) return false;
	const ids = rows.map(({ order_id }) => order_id);
	const outcomes = await options.outcomesOf(ids);
	const withOutcome = (...wanted: SagaOutcome[]) =>
		ids.filter((_, i) => wanted.includes(outcomes[i]!));
	const confirmed = withOutcome("confirmed");
	if (confirmed.length > 0) await db.query(statements.keep, [confirmed]);
	const abandoned = withOutcome("cancelled", "unknown");
	if (abandoned.length > 0) await options.release(abandoned);
	return rows.length === EXPIRY_BATCH_SIZE;
}
