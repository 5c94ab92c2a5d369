drop index ledger_refunds_charge;
