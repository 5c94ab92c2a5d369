drop table ledger_disputes;
alter table ledger_refunds drop column status, drop column paid_at, drop column failed_at;
delete from ledger_authorizations where status <> 'authorized';
alter table ledger_authorizations drop column status, drop column capture;
