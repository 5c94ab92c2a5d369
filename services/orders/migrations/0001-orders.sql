create table orders (
	id uuid primary key,
	user_id uuid not null,
	status text not null
		check (status in ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')),
	total_amount numeric(12, 2) not null,
	currency char(3) not null,
	cancellation_reason text,
	payment_token text not null,
	shipping_address text,
	-- The saga is open while saga_state is set. Its owner is a node; its attempt is the fencing
	-- token.
	saga_state text check (saga_state in ('forward', 'backward', 'stuck')),
	saga_owner text,
	saga_attempt int not null default 1,
	-- Time at which the saga was last started, taken over or resumed.
	saga_since timestamptz not null default now(),
	saga_reason text,
	created_at timestamptz not null,
	updated_at timestamptz not null
) with (fillfactor = 80);
create index orders_user on orders (user_id, id);
create index orders_status on orders (status, id);
create index orders_open on orders (saga_owner) where saga_state is not null;

create table order_items (
	order_id uuid not null references orders on delete cascade,
	position smallint not null,
	product_id uuid not null,
	name text not null,
	quantity int not null,
	unit_price numeric(12, 2) not null,
	line_total numeric(12, 2) not null,
	primary key (order_id, position)
);

-- Nodes that run sagas. Other nodes take over the sagas of a node whose lease has expired.
create table saga_nodes (
	id text primary key,
	lease_until timestamptz not null
);
