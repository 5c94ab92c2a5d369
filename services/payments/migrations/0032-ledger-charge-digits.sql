-- changes a type
-- See 0030.
alter table ledger_charges
	drop constraint ledger_charges_amount_check,
	drop constraint ledger_charges_check,
	alter column amount type numeric,
	alter column refunded type numeric,
	alter column cancelled type numeric,
	add constraint ledger_charges_amount_check check (amount >= 0) not valid,
	add constraint ledger_charges_check check (refunded between 0 and amount) not valid;
