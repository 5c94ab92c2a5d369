-- Every reservation changes a row of this table, on a hot product all of them the same one: the free space lets the new version stay
-- on its page, and no index has to be touched.
create table stock (
	product_id uuid primary key,
	on_hand int not null check (on_hand <= 1000000000),
	reserved int not null default 0,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	check (reserved between 0 and on_hand)
) with (fillfactor = 50);

-- One row an order, its lines as two arrays of the same length, so that to reserve costs one insert however many lines there are.
create table reservations (
	order_id uuid primary key,
	-- A tombstone, left by a release that came before its reserve, is released and has no lines.
	status text not null check (status in ('held', 'released', 'fulfilled')),
	product_ids uuid[] not null,
	quantities int[] not null check (cardinality(quantities) = cardinality(product_ids)),
	expires_at timestamptz,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

-- What people did to on_hand, and why.
create table adjustments (
	id bigint generated always as identity primary key,
	product_id uuid not null references stock,
	delta int not null,
	on_hand int not null,
	reason text not null,
	at timestamptz not null default now()
);
create index adjustments_product on adjustments (product_id, at);
