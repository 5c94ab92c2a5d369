-- no transaction
-- The index includes the category, because only then Postgres counts a category from the index
-- alone.
create index concurrently if not exists products_listed_category
	on products (category_path(category) collate "C", created_at, id)
	include (category) where deleted_at is null and parent_id is null;
