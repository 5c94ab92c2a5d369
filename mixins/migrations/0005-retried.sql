-- Of an event that took effect after some failures: what it was about, and when it failed (RFC 3339). Null of all others, which are nearly all.
alter table inbox add column type text, add column subject text, add column traceparent text, add column failures text[];
