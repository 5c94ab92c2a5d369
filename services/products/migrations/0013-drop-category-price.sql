-- no transaction
-- Superseded by products_category_key_price.
drop index concurrently if exists products_category_price;
