-- no transaction
-- Finds the events of a subject. Most subjects are IDs that increase with time, so inserts write to
-- the end of the index.
create index concurrently if not exists outbox_subject on outbox (subject);
