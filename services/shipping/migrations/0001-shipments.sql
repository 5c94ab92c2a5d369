create table shipments (
	id uuid primary key,
	order_id uuid not null unique,
	-- Null in a tombstone, which a cancellation that precedes the shipment inserts, and for a guest.
	user_id uuid,
	shipping_address text,
	status text not null check (status in ('scheduled', 'dispatched', 'delivered', 'cancelled')),
	tracking_number text not null,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
