-- no transaction
create index concurrently if not exists products_category_price on products (category, price, id)
	where deleted_at is null;
