-- no transaction
create index concurrently if not exists products_listed_facets on products using gin (facets)
	where deleted_at is null and parent_id is null;
