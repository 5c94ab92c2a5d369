import { sql } from "../../lib/persistence/database.ts";

/** Columns of a `StoredCart`. The request is returned once the cart is no longer open. */
const COLUMNS = `id, version, status, user_id, token_digest, currency, is_currency_chosen, email,
	shipping_address, billing_address, shipping_method, coupon_codes, lines, quote, order_id,
	case when status in ('completing', 'completed') then request end as request,
	cancellation_reason, merged_into, expires_at, updated_at`;
const EXISTS = "(status <> 'open' or expires_at > now())";
/**
 * The expiry after a change; `days` is a parameter. It is set at most once a day, so that most
 * changes write no index entry.
 */
const extended = (days: string) => `case
		when c.expires_at < now() + make_interval(days => ${days})
			- least(interval '1 day', make_interval(days => ${days}) / 10)
		then now() + make_interval(days => ${days}) else c.expires_at end`;

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
	`insert into carts (id, user_id, token_digest, currency, is_currency_chosen, expires_at)
	values ($1, $2, $3, $4::text, $4::text is not null, now() + make_interval(days => $5))
	on conflict (user_id) where status = 'open' and user_id is not null do nothing
	returning ${COLUMNS}`,
);
/**
 * Deletes the expired open cart of a user. With `is true`, the index of the expiry, which contains
 * all expired carts, cannot be used.
 */
export const DELETE_EXPIRED_OF = sql(
	"delete_expired_of",
	"delete from carts where user_id = $1 and status = 'open' and (expires_at <= now()) is true",
);

/**
 * Writes the contents of open carts, except of those that have another version than `$2`. Locks the
 * rows in a fixed order, so that concurrent batches cannot deadlock. `$1` contains a cart once;
 * `$3` to `$10`: columns; `$11`: days of the lifetime.
 */
export const SAVE = sql(
	"save",
	`with w as materialized (
		select w.*
		from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::json[], $6::json[], $7::text[],
				$8::text[], $9::json[], $10::json[], $11::int[])
			as w (id, version, currency, email, shipping_address, billing_address, shipping_method,
				coupon_codes, lines, quote, days)
			join carts c on c.id = w.id and c.version = w.version
		where c.status = 'open' order by c.id for update of c)
	update carts c set version = c.version + 1, currency = w.currency, email = w.email,
		shipping_address = w.shipping_address, billing_address = w.billing_address,
		shipping_method = w.shipping_method, coupon_codes = w.coupon_codes::text[], lines = w.lines,
		quote = w.quote, expires_at = ${extended("w.days")}, updated_at = now()
	from w where c.id = w.id
	returning c.id, c.version, c.expires_at, c.updated_at`,
);
export const SET_CURRENCY_CHOSEN = sql(
	"set_currency_chosen",
	"update carts set is_currency_chosen = $2 where id = $1",
);
/** Stores the prices that the buyer has seen. The version remains: the buyer changed nothing. */
export const MARK_SEEN = sql(
	"mark_seen",
	`update carts c set lines = $3, quote = $4, expires_at = ${extended("$5")}
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
 * Starts the checkouts of open carts, except of those that have another version than `$2`. `$1`
 * contains a cart once; `$3`: order IDs; `$4`: requests of the orders; `$5`: seconds after which
 * another node takes over.
 */
export const BEGIN = sql(
	"begin",
	`with w as materialized (
		select w.* from unnest($1::uuid[], $2::int[], $3::uuid[], $4::json[])
			as w (id, version, order_id, request) join carts c on c.id = w.id and c.version = w.version
		where c.status = 'open' order by c.id for update of c)
	update carts c set version = c.version + 1, status = 'completing', order_id = w.order_id,
		request = w.request, quote = null, cancellation_reason = null, settle_attempts = 0,
		settle_at = now() + make_interval(secs => $5), updated_at = now()
	from w where c.id = w.id
	returning c.id`,
);
/**
 * Completes the carts of confirmed orders, with their events. `$2`: traces by order; `$3` and `$4`:
 * days until the carts of accounts and of guests are deleted.
 */
export const COMPLETE = sql(
	"complete_carts",
	`with completed as (
		update carts set version = version + 1, status = 'completed', settle_at = null,
			expires_at = now()
				+ make_interval(days => case when user_id is null then $4::int else $3 end),
			updated_at = now()
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
/** Carts of the orders `$1` that are being completed, by ID. */
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
/** Milliseconds until the next cart is due; null if none is being completed. */
export const NEXT_UNSETTLED = sql(
	"next_unsettled",
	`select ceil(extract(epoch from min(settle_at) - now()) * 1000)::float8 as wait from carts
	where settle_at is not null`,
);
/** Deletes carts after their expiry, at most `$1`. Carts that are being completed never expire. */
export const DELETE_EXPIRED = sql(
	"delete_expired",
	`delete from carts where id in (
		select id from carts where status <> 'completing' and expires_at <= now()
		order by expires_at limit $1 for update skip locked)
	returning id`,
);
