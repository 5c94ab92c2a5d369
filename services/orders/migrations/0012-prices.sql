-- Prices of an order with discounts, shipping costs, tax or structured addresses; other orders keep null. The lines contain their share.
alter table orders
	add column priced json,
	-- Of an order with its own address for messages, in canonical form.
	add column email text,
	-- The order of a guest has no user.
	alter column user_id drop not null;
