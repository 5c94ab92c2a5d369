-- Postgres does not use the statistics of partial indexes on expressions to estimate matches.
create statistics products_category_path on (category_path(category) collate "C") from products;
-- Without statistics of the new columns, the planner takes nearly all products for variants.
analyze products;
