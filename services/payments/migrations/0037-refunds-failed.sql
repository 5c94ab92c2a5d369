-- no transaction
create index concurrently if not exists refunds_failed on refunds (failed_at)
	where failed_at is not null;
