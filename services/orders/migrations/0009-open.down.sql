create index orders_open on orders (saga_owner) where saga_state is not null;
