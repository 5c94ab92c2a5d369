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
	-- Time of the removal from the catalog. The row is kept, because orders refer to it.
	deleted_at timestamptz,
	-- Each word as it is written, to be found by its beginning, and its English stem. Characters that
	-- would join several words into one token (an address, a path, a signed number) separate words;
	-- searchWords in products.rules.ts splits a query in the same way. Replaced by `terms` in 0005.
	search tsvector not null generated always as (
		to_tsvector('simple',
			translate(name || ' ' || coalesce(description, ''), './@:+-_<>&', '          '))
		|| to_tsvector('english',
			translate(name || ' ' || coalesce(description, ''), './@:+-_<>&', '          '))
	) stored
);

create unique index products_sku on products (sku) where deleted_at is null;
-- One index for each order of a list. It ends with the ID, so that pages do not overlap.
create index products_created_at on products (created_at, id) where deleted_at is null;
create index products_name on products (name, id) where deleted_at is null;
create index products_price on products (price, id) where deleted_at is null;
create index products_category on products (category, created_at, id) where deleted_at is null;
create index products_search on products using gin (search) where deleted_at is null;
