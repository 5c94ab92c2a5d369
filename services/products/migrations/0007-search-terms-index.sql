-- no transaction
create index concurrently if not exists products_terms on products using gin (terms)
	where deleted_at is null;
