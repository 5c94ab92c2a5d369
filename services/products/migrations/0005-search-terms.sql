-- Text as search compares it: lower case, without accents, in one Unicode form. The letters in
-- `translate` and `replace` have no decomposition. The ICU collation folds the case of all scripts,
-- whatever the locale of the database is. Text with as many bytes as characters, in UTF-8 only
-- ASCII, takes a shortcut.
create function search_text(text text) returns text language sql immutable parallel safe as $$
	select case when octet_length(text) = length(text) then lower(text collate "und-x-icu") else
		normalize(translate(replace(replace(replace(
			regexp_replace(normalize(lower(text collate "und-x-icu"), NFKD), '[\u0300-\u036f]', '', 'g'),
			'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'øłđðıς', 'olddiσ'), NFC) end $$;

-- Each word as it is written, to be found by its beginning, and its English stem. Characters that
-- would join several words into one token (an address, a path, a signed number) separate words.
create function product_terms(name text, description text, category text, sku text) returns tsvector
	language sql immutable parallel safe as $$
	select to_tsvector('simple', words) || to_tsvector('english', words)
	from (select translate(search_text(name || ' ' || coalesce(description, '') || ' '
			|| category || ' ' || coalesce(sku, '')),
		'./@:+-_<>&', '          ')) as t (words) $$;

-- The words of a query that must occur: all but stop words, or all if there are only stop words.
create function content_words(words text[]) returns text[]
	language sql immutable parallel safe as $$
	select case when content = '{}' then words else content end
	from (select array(select word from unnest(words) with ordinality as w (word, n)
		where length(to_tsvector('english', search_text(word))) > 0 order by n)) as c (content) $$;

-- Finds texts with all words: by their beginning, or by the same English stem.
-- `words` are letters, marks and digits, so they cannot end the quotes.
create function search_query(words text[]) returns tsquery
	language plpgsql immutable parallel safe as $$
	declare
		word text;
		wanted tsquery := '';
	begin
		foreach word in array content_words(words) loop
			word := search_text(word);
			wanted := wanted && (to_tsquery('simple', '''' || word || ''':*') || case
				when length(to_tsvector('english', word)) > 0 then plainto_tsquery('english', word)
				else '' end);
		end loop;
		return wanted;
	end $$;

alter table products add column terms tsvector;
create function set_product_terms() returns trigger language plpgsql as $$
	begin
		new.terms := product_terms(new.name, new.description, new.category, new.sku);
		return new;
	end $$;
-- A trigger instead of a generated column, because adding such a column would rewrite the table
-- under a lock. It also serves nodes of the previous version.
create trigger products_terms
	before insert or update of name, description, category, sku on products
	for each row execute function set_product_terms();

-- IDs of some products with these words. Always uses the index on words: the planner overestimates
-- the frequency of beginnings of words, and would scan the catalog in the order of the page.
create function products_with_terms(words tsquery, most int) returns setof uuid
	language sql stable rows 100
	set enable_seqscan = off set enable_indexscan = off
	as $$ select id from products where terms @@ words and deleted_at is null limit most $$;

-- A category as filters compare it: case-insensitive, in one Unicode form.
create function category_key(category text) returns text language sql immutable parallel safe as $$
	select lower(normalize(category, NFKC) collate "und-x-icu") $$;
