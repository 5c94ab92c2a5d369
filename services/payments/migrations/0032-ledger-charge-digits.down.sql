-- changes a type
-- Rewrites the table, and rounds amounts with more than two decimals.
alter table ledger_charges
	alter column amount type numeric(12,2),
	alter column refunded type numeric(12,2),
	alter column cancelled type numeric(12,2);
