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
	/** Lifetime of a reservation, and of each extension. */
	readonly seconds: number;
	release(reservations: ReservationRef[]): Promise<Outcome[]>;
}
export const RESERVATIONS = reservationStatements("reservations", "held");

/**
 * Releases the reservations of orders that will never be confirmed, see {@link expireReservations}.
 * @returns whether more reservations may have expired
 */
export const expire = ({ db, call, seconds, release }: ExpiryOptions): Promise<boolean> =>
	expireReservations({
		db,
		statements: RESERVATIONS,
		seconds,
		outcomesOf: (order_ids) => call("orders.outcomes", { order_ids }),
		release,
	});
