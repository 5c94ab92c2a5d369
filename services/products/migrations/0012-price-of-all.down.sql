drop index products_price_of_all;
