-- no transaction
-- By hash, which a subject of any length fits into.
create index concurrently if not exists inbox_retried on inbox using hash (subject) where subject is not null;
