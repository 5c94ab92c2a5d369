-- The keys are the region and the category in a form that ignores case; '' for none. Position is
-- the order in which the administrator lists the rates.
create table tax_rates (
	country text not null,
	region_key text not null,
	category_key text not null,
	region text,
	category text,
	name text not null,
	rate numeric(7, 6) not null check (rate between 0 and 1),
	position integer not null,
	primary key (country, region_key, category_key)
);
