-- no transaction
create index concurrently if not exists ledger_refunds_charge on ledger_refunds (charge_key);
