-- no transaction
create index concurrently if not exists products_category_name on products (category, name, id)
	where deleted_at is null;
