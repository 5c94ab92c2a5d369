create table shipping_methods (
	code text primary key,
	name text not null,
	-- ISO 3166-1 alpha-2 codes, or '*' for every country.
	countries text[] not null,
	currency text not null,
	price numeric not null check (price >= 0),
	free_from numeric check (free_from >= 0),
	-- List of {up_to_subtotal?, up_to_weight?, price}.
	tiers jsonb not null,
	position integer not null
);
