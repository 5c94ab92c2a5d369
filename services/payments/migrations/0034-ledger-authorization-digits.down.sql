-- changes a type
-- Rewrites the table, and rounds amounts with more than two decimals.
alter table ledger_authorizations
	alter column amount type numeric(12,2);
