-- no transaction
create index concurrently if not exists revocations_xid on revocations (xid);
