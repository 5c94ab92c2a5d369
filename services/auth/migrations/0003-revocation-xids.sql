-- The transaction that wrote a row. Compared with a reader's snapshot, it finds rows that committed
-- after the reader's last look, however old their time is. Null for rows that are older than this
-- column; these had committed before any reader took a snapshot.
alter table revocations add column xid xid8, alter column xid set default pg_current_xact_id();
