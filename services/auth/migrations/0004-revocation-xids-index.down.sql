drop index revocations_xid;
