-- no transaction
-- Sorts by price until products_price is built again. A change of the type of `price` rebuilds
-- partial indexes and indexes on expressions under its lock, but not this one.
create index concurrently if not exists products_price_of_all on products (price, id);
