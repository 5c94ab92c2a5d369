drop function words_of(text, text, text, jsonb, jsonb);
drop trigger products_new_words on products;
drop function note_new_words();
drop table products_with_new_words;
drop table known_words;
drop extension pg_trgm;
