-- no transaction
-- The index also finds the variants of a parent.
create unique index concurrently if not exists products_variant_options
	on products (parent_id, options)
	where parent_id is not null and deleted_at is null;
