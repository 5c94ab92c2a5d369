-- no transaction
drop index concurrently if exists products_price;
