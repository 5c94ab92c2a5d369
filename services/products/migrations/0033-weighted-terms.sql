-- Weights for the order of search results: A for name and SKU, B for the category, C for attributes
-- and options of variants, D for the description.
create function weighted_terms(name text, description text, category text, sku text, facets text[])
	returns tsvector language sql immutable parallel safe as $$
	select setweight(product_terms(name, null, '', sku), 'A')
		|| setweight(product_terms('', null, category, null), 'B')
		|| setweight(product_terms('', (
			select string_agg(substr(value, strpos(value, '=') + 1), ' ')
			from unnest(facets) as value), '', null), 'C')
		|| setweight(product_terms('', description, '', null), 'D') $$;

create or replace function set_product_terms() returns trigger language plpgsql as $$
	declare
		skus text := new.sku;
	begin
		-- A parent is found by the SKUs of its variants.
		if new.variant_count > 0 then
			skus := concat_ws(' ', skus, (
				select string_agg(sku, ' ') from products where parent_id = new.id and deleted_at is null));
		end if;
		new.terms := weighted_terms(new.name, new.description, new.category, skus, new.facets);
		return new;
	end $$;
-- Runs after products_facets, because triggers run in the order of their names.
create or replace trigger products_terms
	before insert or update of name, description, category, sku, attributes, variant_count on products
	for each row execute function set_product_terms();
