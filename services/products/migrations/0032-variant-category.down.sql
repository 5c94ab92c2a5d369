drop index products_variant_category;
