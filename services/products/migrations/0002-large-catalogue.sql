-- The ids of some products with these words, by the index on words always: the planner takes beginnings of words for far more frequent than they are,
-- and would rather walk through the catalogue in the order of the page until it has enough of what is hardly there.
create function products_with_words(words tsquery, most int) returns setof uuid language sql stable rows 100
	set enable_seqscan = off set enable_indexscan = off
	as $$ select id from products where search @@ words and deleted_at is null limit most $$;
