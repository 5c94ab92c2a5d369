import type { Call } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import { type Database, sql } from "../../lib/persistence/database.ts";
import type {} from "../orders/orders.contract.ts";

const AT_ONCE = 500;
/** Nobody else looks at what was put off. The rows are locked in the order that all statements keep, and none is waited for. */
const PUT_OFF = sql(
	"put_off",
	`update reservations set expires_at = now() + make_interval(secs => $1) where order_id in (
		select order_id from reservations where status = 'held' and expires_at < now() order by expires_at limit ${AT_ONCE} for update skip locked)
	returning order_id`,
);
const KEEP = sql(
	"keep",
	`update reservations set expires_at = null where order_id in (
		select order_id from reservations where order_id = any($1::uuid[]) and status = 'held' order by order_id for update)`,
);

export interface ExpiryOptions {
	readonly db: Database;
	readonly call: Call;
	/** How long stock is held before its order is asked after, and between two questions. */
	readonly seconds: number;
	release(orders: { order_id: string }[]): Promise<Outcome[]>;
}

/**
 * Asks what became of orders that have held stock for long, and gives back what will never be claimed. Time alone releases nothing: an order
 * that is open keeps its stock however long it takes, and both `cancelled` and `unknown` are final, so a late confirmation
 * is impossible. The release leaves its tombstone as always.
 * @returns whether there may be more
 */
export async function expire({ db, call, seconds, release }: ExpiryOptions): Promise<boolean> {
	const held = (await db.query<{ order_id: string }>(PUT_OFF, [seconds])).map(
		({ order_id }) => order_id,
	);
	if (held.length === 0) return false;
	const fates = await call("orders.fates", { order_ids: held });
	const those = (...wanted: string[]) => held.filter((_, i) => wanted.includes(fates[i]!));
	const confirmed = those("confirmed");
	if (confirmed.length > 0) await db.query(KEEP, [confirmed]);
	const abandoned = those("cancelled", "unknown");
	if (abandoned.length > 0) await release(abandoned.map((order_id) => ({ order_id })));
	return held.length === AT_ONCE;
}
