-- no transaction
-- A hash index does not limit the length of a subject, unlike a B-tree.
create index concurrently if not exists inbox_retried on inbox using hash (subject)
	where subject is not null;
