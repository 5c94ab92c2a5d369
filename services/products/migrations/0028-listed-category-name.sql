-- no transaction
create index concurrently if not exists products_listed_category_name on products
	(category_path(category) collate "C", name collate "und-x-icu", id)
	where deleted_at is null and parent_id is null;
