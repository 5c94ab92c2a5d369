-- no transaction
-- For searches by address and for guests who prove their address. Orders without an own address are not in it.
create index concurrently if not exists orders_email on orders (email, id) where email is not null;
