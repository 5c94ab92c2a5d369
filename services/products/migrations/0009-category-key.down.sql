drop index products_category_key;
