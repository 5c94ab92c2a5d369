import { sql } from "../../lib/persistence/database.ts";

/** Columns of a `StoredCart`. The request is returned once the cart is no longer open. */
const COLUMNS = `id, version, status, user_id, token_digest, currency, email, shipping_address,
	billing_address, shipping_method, coupon_codes, lines, quote, order_id,
	case when status in ('completing', 'completed') then request end as request,
	cancellation_reason, merged_into, expires_at, updated_at`;
const EXISTS = "(status <> 'open' or expires_at > now())";
/**
 * The expiry after a change; `days` is a parameter. It is set at most once a day, so that most
 * changes write no index entry.
 */
const extended = (days: string) => `case
		when expires_at < now() + make_interval(days => ${days}) - interval '1 day'
		then now() + make_interval(days => ${days}) else expires_at end`;

/** Carts that have not expired. */
export const FIND = sql(
	"find",
	`select ${COLUMNS} from carts where id = any($1::uuid[]) and ${EXISTS}`,
);
export const FIND_OPEN = sql(
	"find_open",
	`select ${COLUMNS} from carts where user_id = $1 and status = 'open' and expires_at > now()`,
);
/** The request of the last checkout, also after the cart was opened again. */
export const FIND_REQUEST = sql("find_request", "select request from carts where id = $1");

/** Returns nothing if the user has an open cart, which may have expired. `$5`: days. */
export const INSERT = sql(
	"insert",
	`insert into carts (id, user_id, token_digest, currency, expires_at)
	values ($1, $2, $3, $4, now() + make_interval(days => $5))
	on conflict (user_id) where status = 'open' and user_id is not null do nothing
	returning ${COLUMNS}`,
);
/** Deletes the expired open cart of a user. */
export const DELETE_EXPIRED_OF = sql(
	"delete_expired_of",
	"delete from carts where user_id = $1 and status = 'open' and expires_at <= now()",
);

/** Writes the contents of an open cart, unless it has another version than `$2`. */
export const SAVE = sql(
	"save",
	`update carts set version = version + 1, currency = $3, email = $4, shipping_address = $5,
		billing_address = $6, shipping_method = $7, coupon_codes = $8, lines = $9, quote = $10,
		expires_at = ${extended("$11")}, updated_at = now()
	where id = $1 and version = $2 and status = 'open'
	returning version, expires_at, updated_at`,
);
/** Stores the prices that the buyer has seen. The version remains: the buyer changed nothing. */
export const MARK_SEEN = sql(
	"mark_seen",
	`update carts set lines = $3, quote = $4, expires_at = ${extended("$5")}
	where id = $1 and version = $2 and status = 'open'`,
);
export const REMOVE = sql(
	"remove",
	"delete from carts where id = $1 and version = $2 and status = 'open' returning id",
);

/** Locks carts in a fixed order, also expired ones. `$2`: the open cart of this user as well. */
export const LOCK = sql(
	"lock",
	`select ${COLUMNS} from carts
	where id = $1 or (user_id = $2 and status = 'open') order by id for update`,
);
/** Gives a guest's cart to an account. */
export const ASSIGN = sql(
	"assign",
	`update carts set version = version + 1, user_id = $2, token_digest = null, email = null,
		expires_at = now() + make_interval(days => $3), updated_at = now()
	where id = $1 and status = 'open'`,
);
/** Leaves a record of a merged cart for a day, so that repeating the merge has no second effect. */
export const MARK_MERGED = sql(
	"mark_merged",
	`update carts set version = version + 1, status = 'expired', merged_into = $2, lines = '[]',
		quote = null, request = null, order_id = null, settle_at = null, email = null,
		shipping_address = null, billing_address = null, coupon_codes = '{}',
		cancellation_reason = $3, expires_at = now() + interval '1 day', updated_at = now()
	where id = $1`,
);

/**
 * Starts the checkout of an open cart, unless it has another version than `$2`. `$3`: order ID;
 * `$4`: request of the order; `$5`: seconds after which another node takes over.
 */
export const BEGIN = sql(
	"begin",
	`update carts set version = version + 1, status = 'completing', order_id = $3, request = $4,
		cancellation_reason = null, settle_at = now() + make_interval(secs => $5),
		settle_attempts = 0, updated_at = now()
	where id = $1 and version = $2 and status = 'open' returning id`,
);
/**
 * Completes the carts of confirmed orders, with their events. `$2`: traces by order; `$3`: days until
 * the carts are deleted.
 */
export const COMPLETE = sql(
	"complete_carts",
	`with completed as (
		update carts set version = version + 1, status = 'completed', settle_at = null,
			expires_at = now() + make_interval(days => $3), updated_at = now()
		where id = any (array(
			select id from carts where order_id = any($1::uuid[]) and status = 'completing'
			order by id for update))
		returning id, order_id),
	published as (
		insert into outbox (type, subject, data, traceparent)
		select 'cart.completed', id::text,
			json_build_object('cart_id', id, 'order_id', order_id), w.traceparent
		from completed join (
			select distinct on (order_id) order_id, traceparent
			from unnest($1::uuid[], $2::text[]) as u (order_id, traceparent)) w using (order_id))
	select id from completed`,
);
/** Those of the orders whose carts are being completed. */
export const FIND_COMPLETING = sql(
	"find_completing",
	`select id, user_id, order_id from carts
	where order_id = any($1::uuid[]) and status = 'completing' order by id`,
);
/** Opens the cart of a cancelled order again. */
export const REOPEN = sql(
	"reopen",
	`update carts set version = version + 1, status = 'open', order_id = null, settle_at = null,
		cancellation_reason = $2,
		expires_at = greatest(expires_at, now() + make_interval(days => $3)), updated_at = now()
	where order_id = $1 and status = 'completing'`,
);

/**
 * Claims carts whose checkout has not finished: moving their next check with exponential backoff,
 * from 2 seconds to 1 minute with jitter, hides them from other nodes.
 */
export const CLAIM_UNSETTLED = sql(
	"claim_unsettled",
	`update carts set settle_attempts = settle_attempts + 1,
		settle_at = now() + make_interval(
			secs => least(60, 2 ^ (1 + least(settle_attempts, 10))) * (0.75 + random() / 2))
	where id in (
		select id from carts where status = 'completing' and settle_at <= now()
		order by settle_at limit $1 for update skip locked)
	returning id, order_id, request`,
);
/** Deletes carts after their expiry, at most `$1`. Carts that are being completed never expire. */
export const DELETE_EXPIRED = sql(
	"delete_expired",
	`delete from carts where id in (
		select id from carts where status <> 'completing' and expires_at <= now()
		order by expires_at limit $1 for update skip locked)
	returning id`,
);
