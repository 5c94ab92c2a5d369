drop function category_key;
drop function products_with_terms;
drop trigger products_terms on products;
drop function set_product_terms;
alter table products drop column terms;
drop function search_query;
drop function content_words;
drop function product_terms;
drop function search_text;
