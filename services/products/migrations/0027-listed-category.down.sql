drop index products_listed_category;
