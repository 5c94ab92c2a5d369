-- changes a type
-- See 0030.
alter table ledger_authorizations
	drop constraint ledger_authorizations_amount_check,
	alter column amount type numeric,
	add constraint ledger_authorizations_amount_check check (amount >= 0) not valid;
