drop index products_listed_name;
