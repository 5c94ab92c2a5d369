-- no transaction
-- orders_running replaces it.
drop index concurrently if exists orders_open;
