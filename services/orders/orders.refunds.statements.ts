import { sql } from "../../lib/persistence/database.ts";
import type { StoredLine, StoredPrices } from "./orders.prices.rules.ts";
import type { Status } from "./orders.rules.ts";
import { ITEMS, type SagaRow } from "./orders.statements.ts";

/** An order to refund, locked until the end of the transaction. */
export interface LockedOrder {
	readonly status: Status;
	readonly currency: string;
	readonly items: readonly StoredLine[];
	readonly priced: StoredPrices | null;
	readonly saga_state: SagaRow["saga_state"];
}
export const LOCK_ORDER = sql(
	"refund_lock_order",
	`select o.status, o.currency, ${ITEMS}, o.priced, o.saga_state
	from orders o where o.id = $1 for update`,
);

/** Refunds of an order that have not failed. Read after the lock: the snapshot is newer. */
export const FIND_EFFECTIVE = sql(
	"refund_find_effective",
	`select items, shipping_amount, tax_amount from refunds
	where order_id = $1 and status <> 'failed'`,
);

/** Until then, the request that recorded the refund sends it to payments. */
const FIRST_ATTEMPT = "interval '10 seconds'";
/** Records a refund. One of nothing, such as of a free line, is done at once. */
export const RECORD = sql(
	"refund_record",
	`with marked as (update orders set has_refunds = true where id = $2 and not has_refunds)
	insert into refunds (id, order_id, items, shipping_amount, amount, tax_amount, reason, status,
		next_at)
	values ($1, $2, $3, $4, $5, $6, $7, case when $5::numeric = 0 then 'done' else 'requested' end,
		now() + ${FIRST_ATTEMPT})`,
);

const OPEN = "id, order_id, amount, reason";
export const FIND_REQUESTED = sql(
	"refund_find_requested",
	`select ${OPEN} from refunds where id = $1 and status = 'requested'`,
);

/** Maximum number of refunds that one poll claims. */
export const CLAIM_LIMIT = 100;
/**
 * Claims refunds whose outcome is unknown. The claim schedules the next attempt after the age of
 * the refund, at most 15 minutes, so it is also the lease and the backoff.
 */
export const CLAIM_REQUESTED = sql(
	"refund_claim_requested",
	`update refunds set next_at = now()
		+ least(now() - created_at, interval '15 minutes') * (0.5 + random() / 2)
	where id in (
		select id from refunds where status = 'requested' and next_at <= now()
		order by next_at limit ${CLAIM_LIMIT} for update skip locked)
	returning ${OPEN}`,
);

/** Records the outcomes of requested refunds: `$1` are done, `$2` have failed. */
export const SETTLE = sql(
	"refund_settle",
	`update refunds set status = case when id = any($1::uuid[]) then 'done' else 'failed' end
	where id = any($1 || $2::uuid[]) and status = 'requested'`,
);

/** Marks refunds that the provider could not pay after it had accepted them. */
export const FAIL = sql(
	"refund_fail",
	"update refunds set status = 'failed' where id = any($1::uuid[])",
);
