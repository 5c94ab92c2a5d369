-- changes a type
-- See 0030.
alter table refunds
	drop constraint refunds_amount_check,
	alter column amount type numeric,
	add constraint refunds_amount_check check (amount >= 0) not valid;
