-- Words of the catalog, with which misspelled words of a search are corrected. pg_trgm is a trusted
-- extension, which the owner of the database may create.
create extension if not exists pg_trgm;

create table known_words (word text primary key);
create index known_words_similar on known_words using gist (word gist_trgm_ops (siglen = 32));

-- Products whose words will be added by a poller. Transactions that added the same words in
-- different orders would wait for each other and deadlock.
create table products_with_new_words (product_id uuid not null);

create function note_new_words() returns trigger language plpgsql as $$
	begin
		insert into products_with_new_words values (new.id);
		return null;
	end $$;
create trigger products_new_words
	after insert or update of name, description, category, attributes, options on products
	for each row execute function note_new_words();

-- Words of a product that contain no digits, without stemming.
create function words_of(name text, description text, category text, attributes jsonb,
		options jsonb)
	returns setof text language sql immutable parallel safe as $$
	select lexeme from unnest(to_tsvector('simple', translate(search_text(concat_ws(' ',
		name, description, category,
		array_to_string(facet_values(attributes) || facet_values(coalesce(options, '{}')), ' '))),
		'./@:+-_<>&=', '           '))) where lexeme !~ '\d' and length(lexeme) between 3 and 40 $$;

insert into products_with_new_words select id from products where deleted_at is null;
