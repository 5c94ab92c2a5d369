-- no transaction
-- Finds orders by address, in searches and for guests who verify their address. Contains no orders
-- without an address of their own.
create index concurrently if not exists orders_email on orders (email, id) where email is not null;
