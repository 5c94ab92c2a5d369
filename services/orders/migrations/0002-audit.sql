-- What was told of an order.
create index outbox_subject on outbox (subject);
-- Those that wait for somebody.
create index orders_stuck on orders (id) where saga_state = 'stuck';
