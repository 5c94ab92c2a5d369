-- no transaction
drop index concurrently if exists carts_settle_at;
