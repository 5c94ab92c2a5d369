-- changes a type
-- Rewrites the table, and rounds prices with more than two decimals.
alter table products alter column price type numeric(12,2);
