create index products_price on products (price, id) where deleted_at is null;
