-- no transaction
create index concurrently if not exists products_category_key_name
	on products (category_key(category), name collate "und-x-icu", id)
	where deleted_at is null;
