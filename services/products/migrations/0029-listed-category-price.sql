-- no transaction
create index concurrently if not exists products_listed_category_price on products
	(category_path(category) collate "C", price, id) where deleted_at is null and parent_id is null;
