-- Every redemption changes the counters of its promotions, on a hot coupon always those of one row: the free space lets the new version
-- stay on its page, and no index contains a counter.
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
	-- A first order is only one.
	customer_limit int generated always as (
		case when (conditions ->> 'first_order')::boolean then 1 else usage_limit_per_customer end) stored,
	budget numeric,
	-- Sums over the redemptions that were not released. A limit that is lowered later can be less.
	used int not null default 0 check (used >= 0),
	spent numeric not null default 0 check (spent >= 0),
	-- Since the last release or change, a discount was refused because it exceeded the remaining budget.
	budget_exceeded boolean not null default false,
	is_exhausted boolean generated always as (
		budget_exceeded or coalesce(used >= usage_limit, false) or coalesce(spent >= budget, false)) stored,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	-- A deleted promotion stays for the release of its redemptions.
	deleted_at timestamptz
) with (fillfactor = 50);
create unique index promotions_code on promotions (lower(code)) where deleted_at is null;
create index promotions_automatic on promotions (priority) where code is null and deleted_at is null;

-- One row per order, its uses as two arrays of the same length.
create table redemptions (
	order_id uuid primary key,
	-- A tombstone, left by a release that came before its redemption, is released and has no uses.
	status text not null check (status in ('redeemed', 'released')),
	-- Null in a tombstone.
	customer text,
	promotion_ids uuid[] not null,
	amounts numeric[] not null check (cardinality(amounts) = cardinality(promotion_ids)),
	expires_at timestamptz,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index redemptions_expiring on redemptions (expires_at) where status = 'redeemed' and expires_at is not null;

-- Orders with which a customer uses a promotion. A row is written only under the lock of its promotion, which is never deleted; a
-- foreign key would check the same again for each row.
create table customer_uses (
	promotion_id uuid not null,
	customer text not null,
	used int not null check (used >= 0),
	-- Limit at the time of the last redemption; null without one.
	allowed int,
	primary key (promotion_id, customer),
	constraint customer_uses_limit check (used <= allowed)
);
