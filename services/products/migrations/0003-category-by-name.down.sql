drop index products_category_name;
