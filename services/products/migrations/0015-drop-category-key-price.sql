-- no transaction
-- Until 0018 builds it again, a category sorted by price is read by products_category_key and
-- sorted.
drop index concurrently if exists products_category_key_price;
