-- no transaction
create index concurrently if not exists products_listed_price on products (price, id)
	where deleted_at is null and parent_id is null;
