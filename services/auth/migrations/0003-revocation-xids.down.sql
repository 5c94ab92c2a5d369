alter table revocations drop column xid;
