delete from products where parent_id is not null;
drop function category_path(text);
create or replace function products_with_terms(words tsquery, most int) returns setof uuid
	language sql stable rows 100
	set enable_seqscan = off set enable_indexscan = off
	as $$ select id from products where terms @@ words and deleted_at is null limit most $$;
drop trigger products_facets on products;
drop function set_product_facets();
drop function facet_values_of_variants(uuid);
drop function facet_values(jsonb);
alter table products
	drop column parent_id, drop column options, drop column option_names, drop column own_fields,
	drop column variant_count, drop column attributes, drop column images, drop column facets;
