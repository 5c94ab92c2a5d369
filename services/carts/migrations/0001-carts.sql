-- Most updates change no indexed column. With free space in the page, they need no index entry
-- (HOT). A row has 1 to 2 kB. Above the default toast_tuple_target, it would be compressed, and
-- decompressed for every read.
create table carts (
	id uuid primary key,
	-- Increases with every change by the buyer and every change of status.
	version int not null default 1,
	status text not null default 'open'
		check (status in ('open', 'completing', 'completed', 'expired')),
	-- Null for a guest.
	user_id uuid,
	-- SHA-256 of the secret of a guest's cart.
	token_digest bytea check ((user_id is null) = (token_digest is not null)),
	-- Null until the first line, unless the buyer has chosen one.
	currency text,
	email text,
	shipping_address json,
	billing_address json,
	shipping_method text,
	coupon_codes text[] not null default '{}',
	-- At most 100: product, quantity, and the unit price that the buyer last saw.
	lines json not null default '[]',
	-- The last known shipping methods, tax rates and promotions, for an outage of their services.
	quote json,
	order_id uuid,
	-- The request of orders.place of the last checkout.
	request json,
	cancellation_reason text,
	-- The cart of the account into which this one was merged.
	merged_into uuid,
	-- Time at which a node next checks the order of a cart that is being completed.
	settle_at timestamptz,
	settle_attempts int not null default 0,
	expires_at timestamptz not null,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	check (status not in ('completing', 'completed')
		or (order_id is not null and request is not null)),
	check ((status = 'completing') = (settle_at is not null))
) with (fillfactor = 70, toast_tuple_target = 8128);
create unique index carts_open on carts (user_id) where status = 'open' and user_id is not null;
-- Contains only carts that are being completed, which are few.
create unique index carts_order_id on carts (order_id) where status = 'completing';
create index carts_settle_at on carts (settle_at) where status = 'completing';
create index carts_expires_at on carts (expires_at) where status <> 'completing';
