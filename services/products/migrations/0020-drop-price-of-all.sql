-- no transaction
drop index concurrently if exists products_price_of_all;
