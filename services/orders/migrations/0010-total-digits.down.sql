-- changes a type
-- Rewrites the table, and rounds amounts with more than two decimals.
alter table orders alter column total_amount type numeric(12,2);
