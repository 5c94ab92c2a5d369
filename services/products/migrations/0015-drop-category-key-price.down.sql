create index products_category_key_price on products (category_key(category), price, id)
	where deleted_at is null;
