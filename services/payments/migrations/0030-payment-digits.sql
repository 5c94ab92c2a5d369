-- changes a type
-- The number of decimals depends on the currency, see lib/money/currency.ts. Postgres does not
-- rewrite the table for numeric without a scale. The constraints are added again because existing
-- ones would be checked in every row under the lock. One table per file: a transaction that locked
-- several could deadlock with payments in progress.
alter table payments
	drop constraint payments_check,
	alter column amount type numeric,
	alter column refunded_amount type numeric,
	add constraint payments_check check (refunded_amount between 0 and amount) not valid;
