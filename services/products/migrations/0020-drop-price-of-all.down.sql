create index products_price_of_all on products (price, id);
