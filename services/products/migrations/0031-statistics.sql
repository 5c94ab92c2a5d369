-- Postgres does not use the statistics of partial indexes on expressions to estimate matches.
create statistics products_category_path on (category_path(category) collate "C") from products;
-- Without statistics of the new columns, the planner estimates that nearly all products are
-- variants.
analyze products;
