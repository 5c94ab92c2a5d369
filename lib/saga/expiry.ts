import { type Database, type Statement, sql } from "../persistence/database.ts";

/**
 * Outcome of a saga, for a service that holds resources for it. `cancelled` is final. A saga that
 * is `unknown` was interrupted before it was written. If it is written later, it first repeats its
 * step, which finds the tombstone of the release, or renews the hold and so prevents the release.
 */
type SagaOutcome = "open" | "confirmed" | "cancelled" | "unknown";

interface HoldStatements {
	readonly extendExpired: Statement;
	readonly keep: Statement;
	readonly renew: Statement;
}
/** A hold to release. */
export interface HoldRef {
	readonly order_id: string;
	/** Releases the hold only if it still has this expiry, as Postgres formats it. */
	readonly expires_at?: string | undefined;
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
		"extend_expired",
		`update ${table} set expires_at = now() + make_interval(secs => $1) where order_id in (
			select order_id from ${table} where status = '${held}' and expires_at < now()
			order by expires_at limit ${EXPIRY_BATCH_SIZE} for update skip locked)
		returning order_id, expires_at::text as expires_at`,
	),
	/** Removes the expiry of confirmed sagas' holds. */
	keep: sql(
		"keep",
		`update ${table} set expires_at = null where order_id in (
			select order_id from ${table} where order_id = any($1::uuid[]) and status = '${held}'
			order by order_id for update)`,
	),
	/**
	 * Extends the holds of orders whose step is repeated by `$2` seconds, and returns the status of
	 * each hold and tombstone. Waits for concurrent releases.
	 */
	renew: sql(
		"renew",
		`with locked as (
			select order_id, status, expires_at from ${table}
			where order_id = any($1::uuid[]) order by order_id for update),
		renewed as (
			update ${table} h set expires_at = now() + make_interval(secs => $2)
			from locked l where h.order_id = l.order_id and l.status = '${held}'
				and l.expires_at is not null)
		select order_id, status from locked`,
	),
});

interface ExpiryOptions {
	readonly db: Database;
	readonly statements: HoldStatements;
	/** Lifetime of a hold, and of each extension. */
	readonly seconds: number;
	outcomesOf(ids: string[]): Promise<readonly SagaOutcome[]>;
	/** Ends holds. Leaves tombstones, which reject a late hold. */
	release(holds: HoldRef[]): Promise<unknown>;
}

/**
 * Requests the outcomes of sagas whose holds have expired, and releases the holds of those that
 * will never be confirmed. Expiry alone releases nothing: an open saga keeps its hold.
 * @returns whether more holds may have expired
 */
export async function expireHolds(options: ExpiryOptions): Promise<boolean> {
	const { db, statements, seconds } = options;
	const rows = await db.query<Required<HoldRef>>(statements.extendExpired, [seconds]);
	if (rows.length === 0) return false;
	const outcomes = await options.outcomesOf(rows.map(({ order_id }) => order_id));
	const withOutcome = (wanted: SagaOutcome) => rows.filter((_, i) => outcomes[i] === wanted);
	const confirmed = withOutcome("confirmed").map(({ order_id }) => order_id);
	if (confirmed.length > 0) await db.query(statements.keep, [confirmed]);
	const abandoned = [
		...withOutcome("cancelled").map(({ order_id }) => ({ order_id })),
		...withOutcome("unknown"),
	];
	if (abandoned.length > 0) await options.release(abandoned);
	return rows.length === EXPIRY_BATCH_SIZE;
}
