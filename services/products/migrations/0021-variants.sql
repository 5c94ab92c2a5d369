-- A variant is a product with a parent. Its row contains the inherited values of its parent, so
-- that reads need no second row (docs/adr/0026).
alter table products
	add column parent_id uuid,
	-- Values by the parent's option names; null unless the product is a variant.
	add column options jsonb,
	-- Array of names; null unless the product is a parent.
	add column option_names jsonb,
	-- Columns that a variant does not inherit.
	add column own_fields text[] not null default '{}',
	-- Number of variants in the catalog.
	add column variant_count int not null default 0,
	add column attributes jsonb not null default '{}',
	add column images jsonb not null default '[]',
	-- Values that facets count, as `name=value`: attributes, and those and the options of variants.
	add column facets text[] not null default '{}',
	add constraint products_variant_check check ((parent_id is null) = (options is null)
		and (parent_id is null or option_names is null)) not valid;

-- Attributes or options as `name=value`. A name contains no equals sign.
create function facet_values(object jsonb) returns text[] language sql immutable parallel safe as $$
	select coalesce(array_agg(distinct name || '=' || value), '{}')
	from jsonb_each(object) as one (name, list)
		cross join jsonb_array_elements_text(
			case jsonb_typeof(list) when 'array' then list else jsonb_build_array(list) end)
			as each (value) $$;

create function facet_values_of_variants(parent uuid) returns text[] language sql stable as $$
	select coalesce(array_agg(distinct value), '{}')
	from products cross join unnest(facet_values(attributes) || facet_values(options)) as value
	where parent_id = parent and deleted_at is null $$;

create function set_product_facets() returns trigger language plpgsql as $$
	begin
		new.facets := facet_values(new.attributes);
		if new.variant_count > 0 then
			new.facets := array(select unnest(new.facets)
				union select unnest(facet_values_of_variants(new.id)));
		end if;
		return new;
	end $$;
-- A change of a variant updates the count of its parent, which updates the facets.
create trigger products_facets before insert or update of attributes, variant_count on products
	for each row execute function set_product_facets();

-- Lists contain parents and stand-alone products.
create or replace function products_with_terms(words tsquery, most int) returns setof uuid
	language sql stable rows 100
	set enable_seqscan = off set enable_indexscan = off
	as $$ select id from products
		where terms @@ words and deleted_at is null and parent_id is null limit most $$;

-- A category and its subcategories are those whose path begins with the path of the category, which
-- ends with a slash. Compare it with collate "C". The text is that of category_key, which an index
-- cannot call through another function, because its search path contains only pg_catalog. The
-- language is plpgsql, because Postgres finds no statistics for the text of an inlined function.
create function category_path(category text) returns text
	language plpgsql immutable parallel safe cost 10
	as $$ begin return lower(normalize(category, NFKC) collate "und-x-icu") || '/'; end $$;
