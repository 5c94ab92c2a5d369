-- changes a type
-- The number of decimals depends on the currency, see lib/money/currency.ts. Postgres does not
-- rewrite the table for numeric without a scale.
alter table orders alter column total_amount type numeric;
