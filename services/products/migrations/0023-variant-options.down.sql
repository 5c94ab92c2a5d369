drop index products_variant_options;
