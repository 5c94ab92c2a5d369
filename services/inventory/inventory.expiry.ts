import type { Call } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type {} from "../orders/orders.contract.ts";
import { EXPIRY_BATCH_SIZE, EXTEND_EXPIRED, KEEP } from "./inventory.statements.ts";

interface ExpiryOptions {
	readonly db: Database;
	readonly call: Call;
	/** Lifetime of a reservation, and of each extension. */
	readonly seconds: number;
	release(orders: { order_id: string }[]): Promise<Outcome[]>;
}

/**
 * Requests the status of orders whose reservations have expired, and releases those that will never
 * be confirmed. Expiry alone releases nothing: an open order keeps its stock. `cancelled` and
 * `unknown` are final, so a later confirmation is impossible, and the release leaves a tombstone.
 * @returns whether more reservations may have expired
 */
export async function expire({ db, call, seconds, release }: ExpiryOptions): Promise<boolean> {
	const rows = await db.query<{ order_id: string }>(EXTEND_EXPIRED, [seconds]);
	if (rows.length === 0) return false;
	const orderIds = rows.map(({ order_id }) => order_id);
	const statuses = await call("orders.fates", { order_ids: orderIds });
	const withStatus = (...wanted: string[]) =>
		orderIds.filter((_, i) => wanted.includes(statuses[i]!));
	const confirmed = withStatus("confirmed");
	if (confirmed.length > 0) await db.query(KEEP, [confirmed]);
	const abandoned = withStatus("cancelled", "unknown");
	if (abandoned.length > 0) await release(abandoned.map((order_id) => ({ order_id })));
	return rows.length === EXPIRY_BATCH_SIZE;
}
