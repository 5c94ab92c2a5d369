-- no transaction
do $$
	declare
		last uuid := '00000000-0000-0000-0000-000000000000';
		ids uuid[];
	begin
		loop
			ids := array(select id from products where id > last order by id limit 1000);
			exit when ids = '{}';
			update products set terms = weighted_terms(name, description, category, sku, facets)
			where id = any (ids);
			last := ids[cardinality(ids)];
			commit;
		end loop;
	end $$;
