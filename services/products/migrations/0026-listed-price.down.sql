drop index products_listed_price;
