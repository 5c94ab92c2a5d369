alter table products validate constraint products_variant_check;
