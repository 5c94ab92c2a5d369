create or replace function set_product_terms() returns trigger language plpgsql as $$
	begin
		new.terms := product_terms(new.name, new.description, new.category, new.sku);
		return new;
	end $$;
create or replace trigger products_terms
	before insert or update of name, description, category, sku on products
	for each row execute function set_product_terms();
drop function weighted_terms(text, text, text, text, text[]);
