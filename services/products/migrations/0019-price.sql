-- no transaction
create index concurrently if not exists products_price on products (price, id)
	where deleted_at is null;
