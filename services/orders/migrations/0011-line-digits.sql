-- changes a type
-- The number of decimals depends on the currency, see lib/money/currency.ts. Postgres does not
-- rewrite the table for numeric without a scale.
alter table order_items
	alter column unit_price type numeric,
	alter column line_total type numeric;
