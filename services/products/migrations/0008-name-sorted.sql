-- no transaction
create index concurrently if not exists products_name_sorted
	on products (name collate "und-x-icu", id)
	where deleted_at is null;
