-- Of an event that took effect after some failures: what it was about, and when it failed (RFC 3339). Null of all others, which are nearly all.
alter table inbox add column type text, add column subject text, add column traceparent text, add column failures text[];
-- By hash, which a subject of any length fits into.
create index inbox_retried on inbox using hash (subject) where subject is not null;
create index retries_subject on retries using hash ((event->>'subject'));
