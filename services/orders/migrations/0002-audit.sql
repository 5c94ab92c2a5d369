-- no transaction
-- Finds orders whose saga is stuck. They wait for an operator.
create index concurrently if not exists orders_stuck on orders (id) where saga_state = 'stuck';
