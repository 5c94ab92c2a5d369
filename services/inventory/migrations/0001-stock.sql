-- Every reservation updates a row of this table, and all orders of a popular product update the
-- same one. With free space in the page, the new version of the row stays there and needs no index
-- entry (HOT).
create table stock (
	product_id uuid primary key,
	on_hand int not null check (on_hand <= 1000000000),
	reserved int not null default 0,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	check (reserved between 0 and on_hand)
) with (fillfactor = 50);

-- One row per order. Its lines are two arrays of the same length, so that a reservation with any
-- number of lines is one insert.
create table reservations (
	order_id uuid primary key,
	-- A release or fulfillment that precedes the reservation inserts a tombstone, which has no lines.
	status text not null check (status in ('held', 'released', 'fulfilled')),
	product_ids uuid[] not null,
	quantities int[] not null check (cardinality(quantities) = cardinality(product_ids)),
	expires_at timestamptz,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

-- Changes of the stock on hand by administrators, with their reasons. `on_hand` is the stock after
-- the change.
create table adjustments (
	id bigint generated always as identity primary key,
	product_id uuid not null references stock,
	delta int not null,
	on_hand int not null,
	reason text not null,
	at timestamptz not null default now()
);
create index adjustments_product on adjustments (product_id, at);
