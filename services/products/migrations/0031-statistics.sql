-- Of the new columns and indexes. Without them, the planner takes nearly all products for variants.
analyze products;
