-- no transaction
create index concurrently if not exists refunds_settled on refunds (next_at)
	where settled_at is not null and failed_at is null;
