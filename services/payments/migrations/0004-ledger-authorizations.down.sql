alter table ledger_charges drop column capture_key;
drop table ledger_authorizations;
