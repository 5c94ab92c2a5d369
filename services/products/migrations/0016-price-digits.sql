-- changes a type
-- The number of decimals depends on the currency, see lib/money/currency.ts. Postgres does not
-- rewrite the table for numeric without a scale. The constraint is added again because an existing
-- one would be checked in every row under the lock.
alter table products
	drop constraint products_price_check,
	alter column price type numeric,
	add constraint products_price_check check (price >= 0) not valid;
