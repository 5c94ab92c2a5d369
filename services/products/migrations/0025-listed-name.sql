-- no transaction
create index concurrently if not exists products_listed_name
	on products (name collate "und-x-icu", id)
	where deleted_at is null and parent_id is null;
