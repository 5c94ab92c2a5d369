-- Those that wait for somebody.
create index orders_stuck on orders (id) where saga_state = 'stuck';
