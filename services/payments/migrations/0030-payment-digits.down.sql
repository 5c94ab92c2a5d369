-- changes a type
-- Rewrites the table, and rounds amounts with more than two decimals.
alter table payments
	alter column amount type numeric(12,2),
	alter column refunded_amount type numeric(12,2);
