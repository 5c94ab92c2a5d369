drop function products_with_words;
drop index products_category_price;
drop index products_category_name;
