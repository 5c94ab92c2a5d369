drop index products_name_sorted;
