-- The address book of an account. Orders copy addresses and never refer to them.
create table addresses (
	id uuid primary key,
	user_id uuid not null references users on delete cascade,
	name text not null,
	company text,
	line1 text not null,
	line2 text,
	postal_code text,
	city text not null,
	region text,
	country text not null,
	phone text,
	is_default_shipping boolean not null default false,
	is_default_billing boolean not null default false
);
create index on addresses (user_id, id);
create unique index addresses_default_shipping on addresses (user_id) where is_default_shipping;
create unique index addresses_default_billing on addresses (user_id) where is_default_billing;
