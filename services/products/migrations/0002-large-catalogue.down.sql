drop function products_with_words;
