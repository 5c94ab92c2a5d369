drop table ledger_attempts;
drop table ledger_refunds;
drop table ledger_charges;
