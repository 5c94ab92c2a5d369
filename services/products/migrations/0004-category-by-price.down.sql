drop index products_category_price;
