alter table products validate constraint products_price_check;
-- The change of the type has deleted the statistics of the column.
analyze products (price);
