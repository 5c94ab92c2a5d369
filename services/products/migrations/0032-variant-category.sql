-- no transaction
-- Finds the variants of a branch, which the indexes of lists do not contain.
create index concurrently if not exists products_variant_category
	on products (category_path(category) collate "C")
	where parent_id is not null and deleted_at is null;
