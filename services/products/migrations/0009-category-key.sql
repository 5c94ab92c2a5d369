-- no transaction
-- The index includes the category, because only then Postgres counts a category from the index
-- alone.
create index concurrently if not exists products_category_key
	on products (category_key(category), created_at, id)
	include (category) where deleted_at is null;
