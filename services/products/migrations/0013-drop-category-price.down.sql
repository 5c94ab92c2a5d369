create index products_category_price on products (category, price, id) where deleted_at is null;
