create table products (
	id uuid primary key,
	name text not null,
	description text,
	price numeric(12,2) not null check (price >= 0),
	currency text not null,
	category text not null,
	sku text,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	-- Taken out of the catalogue; the row stays for what refers to it.
	deleted_at timestamptz,
	-- Every word as it is written, to be found by how it begins, and its English stem. The signs that would make one token out of several
	-- words (an address, a path, a number with its sign) are taken out; the rule searchWords cuts a query the same way.
	search tsvector not null generated always as (
		to_tsvector('simple', translate(name || ' ' || coalesce(description, ''), './@:+-_<>&', '          '))
		|| to_tsvector('english', translate(name || ' ' || coalesce(description, ''), './@:+-_<>&', '          '))
	) stored
);

create unique index products_sku on products (sku) where deleted_at is null;
-- One for each way to sort, with the id behind it so that pages do not overlap.
create index products_created_at on products (created_at, id) where deleted_at is null;
create index products_name on products (name, id) where deleted_at is null;
create index products_price on products (price, id) where deleted_at is null;
create index products_category on products (category, created_at, id) where deleted_at is null;
create index products_search on products using gin (search) where deleted_at is null;
