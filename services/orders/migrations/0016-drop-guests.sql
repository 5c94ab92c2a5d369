-- no transaction
-- orders_email replaces it.
drop index concurrently if exists orders_guest;
