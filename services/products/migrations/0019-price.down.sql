drop index products_price;
