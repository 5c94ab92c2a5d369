import { sql } from "../../lib/persistence/database.ts";

/*
 * Each statement handles any number of orders and writes state and events in one
 * transaction. It locks promotions in order of `id` and then redemptions in order of `order_id`,
 * and decides on the locked rows. A statement that waits for a promotion therefore holds no
 * redemption, and concurrent batches cannot deadlock. Rows of `customer_uses` are written only
 * under the lock of their promotion.
 */

/** Evaluated with a hash by Postgres, see services/inventory/inventory.statements.ts. */
const isAmong = (rows: string) => `(order_id in (select order_id from ${rows})) is true`;

/** Orders to redeem, from the parameters `$1` to `$6` of {@link REDEEM_NEW}. */
const REQUESTED = `select order_id, customer, promotions::uuid[] as promotion_ids,
		amounts::numeric[] as amounts, event, traceparent
	from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[], $6::text[])
		as r (order_id, customer, promotions, amounts, event, traceparent)`;

/** One row per order and promotion of `rows`. */
const usesOf = (rows: string) =>
	`select customer, promotion_id, amount
	from ${rows}, unnest(promotion_ids, amounts) as use (promotion_id, amount)`;

/** Number of orders and sum of the discounts by promotion, and by customer and promotion. */
const SUM_BY_PROMOTION = `select promotion_id, count(*)::int as orders, sum(amount) as amount
	from uses group by promotion_id`;
const COUNT_BY_CUSTOMER = `select promotion_id, customer, count(*)::int as orders
	from uses group by promotion_id, customer`;

/**
 * Counts the uses of customers. A use above the limit violates the constraint customer_uses_limit,
 * which fails the whole statement: the row may be newer than the snapshot of the statement.
 */
const countCustomers = (condition: string) =>
	`insert into customer_uses as c (promotion_id, customer, used, allowed)
	select promotion_id, customer, orders, customer_limit
	from (${COUNT_BY_CUSTOMER}) n join locked on id = promotion_id
	where ${condition} order by promotion_id, customer
	on conflict (promotion_id, customer)
		do update set used = c.used + excluded.used, allowed = excluded.allowed`;

/**
 * Updates promotions to the counters in `rows`. With `set used = used + …` the final values would
 * be equal, but Postgres first checks constraints on the outdated row.
 */
const updateCounters = (rows: string, condition: string, change = "") =>
	`update promotions p set used = n.used, spent = n.spent ${change}
	from ${rows} n where p.id = n.id and ${condition}
	returning p.is_exhausted <> n.is_exhausted as changed`;
const HAS_CHANGED = "coalesce((select bool_or(changed) from updated), false) as changed";

/**
 * Optimistic insert: fails if one of the orders already has a redemption or tombstone, or if a
 * customer's limit does not allow its uses. Redeems all orders, or none if uses or budgets are not
 * sufficient, and returns which, and whether `is_exhausted` of a promotion has changed.
 *
 * `$1`: order IDs; `$2`: customers; `$3` and `$4`: promotions and amounts of each order as array
 * literals; `$5`: events; `$6`: traceparents; `$7`: seconds until the redemption expires.
 */
export const REDEEM_NEW = sql(
	"redeem_new",
	`with requested as materialized (${REQUESTED}),
		uses as materialized (${usesOf("requested")}),
		need as materialized (${SUM_BY_PROMOTION}),
		locked as (
			select id, used + orders as used, spent + amount as spent, usage_limit, customer_limit,
				budget, is_exhausted
			from need join promotions p on p.id = promotion_id
			where deleted_at is null order by id for update of p),
		decision as (
			select count(*) = (select count(*) from need) and
				bool_and(coalesce(used <= usage_limit, true) and coalesce(spent <= budget, true)) as fits
			from locked),
		customers as (${countCustomers("(select fits from decision)")}),
		updated as (${updateCounters("locked", "(select fits from decision)")}),
		inserted as (
			insert into redemptions (order_id, status, customer, promotion_ids, amounts, expires_at)
			select order_id, 'redeemed', customer, promotion_ids, amounts,
				now() + make_interval(secs => $7)
			from requested where (select fits from decision) order by order_id),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'promotion.redeemed', order_id::text, event, traceparent
			from requested where (select fits from decision))
	select fits, ${HAS_CHANGED} from decision`,
);

/** Counters and limits of promotions, locked until the end of the transaction. */
export const LOCK_LIMITS = sql(
	"lock_limits",
	`select id, code, used, spent, usage_limit, customer_limit, budget,
		deleted_at is not null as is_deleted
	from promotions where id = any($1::uuid[]) order by id for update`,
);

/**
 * Redeems orders whose promotions are locked and whose uses fit. Skips orders that have a
 * redemption or tombstone. Parameters as for {@link REDEEM_NEW}.
 */
export const REDEEM = sql(
	"redeem",
	`with requested as materialized (${REQUESTED}),
		inserted as (
			insert into redemptions (order_id, status, customer, promotion_ids, amounts, expires_at)
			select order_id, 'redeemed', customer, promotion_ids, amounts,
				now() + make_interval(secs => $7)
			from requested order by order_id
			on conflict (order_id) do nothing returning order_id, customer, promotion_ids, amounts),
		uses as (${usesOf("inserted")}),
		locked as (
			select id, used + orders as used, spent + amount as spent, customer_limit, is_exhausted
			from promotions join (${SUM_BY_PROMOTION}) n on id = promotion_id),
		customers as (${countCustomers("true")}),
		updated as (${updateCounters("locked", "true")}),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'promotion.redeemed', order_id::text, event, traceparent
			from requested where ${isAmong("inserted")})
	select ${HAS_CHANGED}`,
);

/**
 * Marks promotions whose remaining budget a discount exceeded. Returns those that it changes. If
 * nothing is spent, no release would ever remove the mark.
 */
export const MARK_EXCEEDED = sql(
	"mark_exceeded",
	`update promotions set budget_exceeded = true
	where id = any($1::uuid[]) and not is_exhausted and spent > 0 returning id`,
);

/**
 * Returns the uses and budgets of orders, and inserts a tombstone for an order without redemption.
 * Returns orders that are released, without those that a concurrent transaction is changing, each
 * with whether `is_exhausted` of a promotion has changed. `$1`: order IDs; `$2`: events; `$3`:
 * traceparents; `$4`: the expiry that each redemption must have, or null. Tombstones publish no
 * event.
 */
export const RELEASE = sql(
	"release",
	`with requested as (
			select w.order_id, w.expires_at, customer, coalesce(promotion_ids, '{}') as promotion_ids,
				coalesce(amounts, '{}') as amounts
			from unnest($1::uuid[], $4::timestamptz[]) as w (order_id, expires_at)
				left join redemptions r using (order_id)
			where (r.status = 'redeemed' or r.status is null)
				and (w.expires_at is null or r.expires_at = w.expires_at)),
		locked as (
			select id, used, spent, is_exhausted from promotions
			where id = any (array(select unnest(promotion_ids) from requested)) order by id for update),
		closed as (
			insert into redemptions as r
				(order_id, status, customer, promotion_ids, amounts, expires_at)
			select order_id, 'released', customer, promotion_ids, amounts, expires_at from requested
			where (select count(*) from locked) is not null order by order_id
			on conflict (order_id) do update set status = 'released', updated_at = now()
				-- The promotions of a redemption that was inserted meanwhile are not locked here.
				where r.status = 'redeemed' and r.promotion_ids = excluded.promotion_ids
					and (excluded.expires_at is null or r.expires_at = excluded.expires_at)
			returning r.order_id, r.customer, r.promotion_ids, r.amounts),
		uses as (${usesOf("closed")}),
		counted as (
			select id, used - orders as used, spent - amount as spent, is_exhausted
			from locked join (${SUM_BY_PROMOTION}) n on id = promotion_id),
		customers as (
			update customer_uses c set used = c.used - n.orders from (${COUNT_BY_CUSTOMER}) n
			where c.promotion_id = n.promotion_id and c.customer = n.customer),
		updated as (${updateCounters("counted", "true", ", budget_exceeded = false")}),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'promotion.released', order_id::text, event, traceparent
			from unnest($1::uuid[], $2::json[], $3::text[]) as w (order_id, event, traceparent)
			where ${isAmong("closed where promotion_ids <> '{}'")})
	select order_id, 'released' as status, ${HAS_CHANGED} from closed
	union all select order_id, status, false from redemptions
		where order_id = any($1) and status <> 'redeemed'`,
);

/** Redemptions and tombstones of orders. */
export const FIND_REDEMPTIONS = sql(
	"find_redemptions",
	"select order_id, status from redemptions where order_id = any($1::uuid[])",
);

/** Uses of promotions `$1` by customers `$2`, without those that have none. */
export const FIND_CUSTOMER_USES = sql(
	"find_customer_uses",
	`select promotion_id, customer, used from customer_uses
		join (select distinct promotion_id, customer
			from unnest($1::uuid[], $2::text[]) as u (promotion_id, customer)) requested
		using (promotion_id, customer)`,
);

/** One page of redemptions and tombstones, in order of order IDs. */
export const AUDIT_REDEMPTIONS = sql(
	"audit_redemptions",
	`select order_id, status, coalesce((
			select json_agg(json_build_object('promotion_id', promotion_id, 'amount', amount))
			from unnest(promotion_ids, amounts) as use (promotion_id, amount)), '[]') as uses
	from redemptions
	where order_id > $1 and ($2::uuid is null or order_id <= $2) order by order_id limit $3`,
);
