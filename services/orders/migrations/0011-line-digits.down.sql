-- changes a type
-- Rewrites the table, and rounds amounts with more than two decimals.
alter table order_items
	alter column unit_price type numeric(12,2),
	alter column line_total type numeric(12,2);
