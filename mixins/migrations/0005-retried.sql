-- Type, subject and trace of an event that was processed after failures, and the times of its
-- failures (RFC 3339). Null for all other events, which are nearly all.
alter table inbox
	add column type text,
	add column subject text,
	add column traceparent text,
	add column failures text[];
