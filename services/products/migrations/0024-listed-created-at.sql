-- no transaction
-- Sorts lists, which contain no variants. products_created_at serves nodes of the previous version.
create index concurrently if not exists products_listed_created_at on products (created_at, id)
	where deleted_at is null and parent_id is null;
