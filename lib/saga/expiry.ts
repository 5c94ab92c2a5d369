import { type Database, type Statement, sql } from "../persistence/database.ts";

/**
 * Outcome of a saga, for a service that reserves resources for it. `cancelled` is final. A saga
 * that is `unknown` was interrupted before it was written. If it is written later, it first repeats
 * its step, which finds the tombstone of the release, or renews the reservation and so prevents the
 * release.
 */
type SagaOutcome = "open" | "confirmed" | "cancelled" | "unknown";

interface ReservationStatements {
	readonly extendExpired: Statement;
	readonly keep: Statement;
	readonly renew: Statement;
}
/** A reservation to release. */
export interface ReservationRef {
	readonly order_id: string;
	/** Releases the reservation only if it still has this expiry, as Postgres formats it. */
	readonly expires_at?: string | undefined;
}
/** Number of expired reservations that one poll handles. */
const EXPIRY_BATCH_SIZE = 500;

/**
 * Statements on a table of reservations, such as those of stock and the redemptions of promotions,
 * which sagas keep until they end. Its columns are `order_id` (the saga), `status` and
 * `expires_at`.
 * @param open status of an open reservation
 */
export const reservationStatements = (table: string, open: string): ReservationStatements => ({
	/**
	 * Claims expired reservations: extending them by `$1` seconds hides them from other nodes. Rows
	 * that another transaction has locked are skipped.
	 */
	extendExpired: sql(
		"extend_expired",
		`update ${table} set expires_at = now() + make_interval(secs => $1) where order_id in (
			select order_id from ${table} where status = '${open}' and expires_at < now()
			order by expires_at limit ${EXPIRY_BATCH_SIZE} for update skip locked)
		returning order_id, expires_at::text as expires_at`,
	),
	/** Removes the expiry of confirmed sagas' reservations. */
	keep: sql(
		"keep",
		`update ${table} set expires_at = null where order_id in (
			select order_id from ${table} where order_id = any($1::uuid[]) and status = '${open}'
			order by order_id for update)`,
	),
	/**
	 * Extends the reservations of orders whose step is repeated by `$2` seconds, and returns the
	 * status of each reservation and tombstone. Waits for concurrent releases.
	 */
	renew: sql(
		"renew",
		`with locked as (
			select order_id, status, expires_at from ${table}
			where order_id = any($1::uuid[]) order by order_id for update),
		renewed as (
			update ${table} r set expires_at = now() + make_interval(secs => $2)
			from locked l where r.order_id = l.order_id and l.status = '${open}'
				and l.expires_at is not null)
		select order_id, status from locked`,
	),
});

interface ExpiryOptions {
	readonly db: Database;
	readonly statements: ReservationStatements;
	/** Lifetime of a reservation in seconds, and of each extension. */
	readonly seconds: number;
	outcomesOf(ids: string[]): Promise<readonly SagaOutcome[]>;
	/** Ends reservations. Leaves tombstones, which reject a late reservation. */
	release(reservations: ReservationRef[]): Promise<unknown>;
}

/**
 * Requests the outcomes of sagas whose reservations have expired, and releases those of sagas that
 * will never be confirmed. Expiry alone releases nothing: an open saga keeps its reservation.
 * @returns whether more reservations may have expired
 */
export async function expireReservations(options: ExpiryOptions): Promise<boolean> {
	const { db, statements, seconds } = options;
	const rows = await db.query<Required<ReservationRef>>(statements.extendExpired, [seconds]);
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
