-- Finds texts with all words: by their beginning, or by the same English stem.
-- `words` are letters, marks and digits, so they cannot end the quotes. A word of marks only has no
-- text to compare.
create or replace function search_query(words text[]) returns tsquery
	language plpgsql immutable parallel safe as $$
	declare
		word text;
		wanted tsquery := '';
	begin
		foreach word in array content_words(words) loop
			word := search_text(word);
			continue when word = '';
			wanted := wanted && (to_tsquery('simple', '''' || word || ''':*') || case
				when length(to_tsvector('english', word)) > 0 then plainto_tsquery('english', word)
				else '' end);
		end loop;
		return wanted;
	end $$;
