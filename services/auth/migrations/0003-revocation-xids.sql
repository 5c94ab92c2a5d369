-- Transaction of the row. Compared with the snapshot of the previous read, it finds rows that were
-- committed since, even if their time is earlier. Null for rows that are older than this column,
-- which were committed before any reader took a snapshot.
alter table revocations add column xid xid8, alter column xid set default pg_current_xact_id();
