-- IDs of some products with these words. Always uses the index on words: the planner overestimates
-- the frequency of beginnings of words, and would scan the catalog in the order of the page until
-- it has found enough of the rare matches.
create function products_with_words(words tsquery, most int) returns setof uuid
	language sql stable rows 100
	set enable_seqscan = off set enable_indexscan = off
	as $$ select id from products where search @@ words and deleted_at is null limit most $$;
