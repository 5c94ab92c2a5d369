-- changes a type
-- See 0030.
alter table ledger_refunds
	drop constraint ledger_refunds_amount_check,
	alter column amount type numeric,
	add constraint ledger_refunds_amount_check check (amount > 0) not valid;
