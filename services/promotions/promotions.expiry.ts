import type { Call } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Database } from "../../lib/persistence/database.ts";
import {
	expireReservations,
	type ReservationRef,
	reservationStatements,
} from "../../lib/saga/expiry.ts";
import type {} from "../orders/orders.contract.ts";

interface ExpiryOptions {
	readonly db: Database;
	readonly call: Call;
	/** Lifetime of a redemption, and of each extension. */
	readonly seconds: number;
	release(reservations: ReservationRef[]): Promise<Outcome[]>;
}
export const REDEMPTIONS = reservationStatements("redemptions", "redeemed");

/**
 * Releases the redemptions of orders that will never be confirmed, see {@link expireReservations}.
 * @returns whether more redemptions may have expired
 */
export const expire = ({ db, call, seconds, release }: ExpiryOptions): Promise<boolean> =>
	expireReservations({
		db,
		statements: REDEMPTIONS,
		seconds,
		outcomesOf: (order_ids) => call("orders.outcomes", { order_ids }),
		release,
	});
