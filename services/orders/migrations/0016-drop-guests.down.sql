create index orders_guest on orders (email) where user_id is null;
