-- no transaction
-- Those that wait for somebody.
create index concurrently if not exists orders_stuck on orders (id) where saga_state = 'stuck';
