-- no transaction
create index concurrently if not exists orders_guest on orders (email) where user_id is null;
