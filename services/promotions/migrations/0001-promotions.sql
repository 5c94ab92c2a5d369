-- Every redemption updates the counters of its promotions, and all orders with a popular coupon
-- update the same row. With free space in the page, the new version of the row stays there and
-- needs no index entry (HOT), because no index contains a counter.
create table promotions (
	id uuid primary key,
	name text not null,
	-- Null for an automatic promotion.
	code text,
	starts_at timestamptz,
	ends_at timestamptz check (ends_at >= starts_at),
	priority int not null,
	combinable boolean not null,
	currency text not null,
	conditions jsonb not null,
	effect jsonb not null,
	usage_limit int,
	usage_limit_per_customer int,
	-- Limit of uses per customer. A promotion for first orders has the limit 1.
	customer_limit int generated always as (
		case when (conditions ->> 'first_order')::boolean then 1
			else usage_limit_per_customer end) stored,
	budget numeric,
	-- Sums of the redemptions that are not released. They can exceed a limit that was lowered later.
	used int not null default 0 check (used >= 0),
	spent numeric not null default 0 check (spent >= 0),
	-- Whether a discount was refused because it exceeded the remaining budget, since the last release
	-- or change.
	budget_exceeded boolean not null default false,
	is_exhausted boolean generated always as (
		budget_exceeded or coalesce(used >= usage_limit, false)
			or coalesce(spent >= budget, false)) stored,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	-- The row of a deleted promotion is kept for the release of its redemptions.
	deleted_at timestamptz
) with (fillfactor = 50);
create unique index promotions_code on promotions (lower(code)) where deleted_at is null;
create index promotions_automatic on promotions (priority)
	where code is null and deleted_at is null;

-- One row per order. Its uses are two arrays of the same length.
create table redemptions (
	order_id uuid primary key,
	-- A release that precedes the redemption inserts a tombstone, which is released and has no uses.
	status text not null check (status in ('redeemed', 'released')),
	-- Null in a tombstone.
	customer text,
	promotion_ids uuid[] not null,
	amounts numeric[] not null check (cardinality(amounts) = cardinality(promotion_ids)),
	expires_at timestamptz,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index redemptions_expiring on redemptions (expires_at)
	where status = 'redeemed' and expires_at is not null;

-- Number of orders with which a customer uses a promotion. A row is written only under the lock of
-- its promotion, whose row is never deleted, so the check of a foreign key would be redundant.
create table customer_uses (
	promotion_id uuid not null,
	customer text not null,
	used int not null check (used >= 0),
	-- Limit at the time of the last redemption; null without one.
	allowed int,
	primary key (promotion_id, customer),
	constraint customer_uses_limit check (used <= allowed)
);
