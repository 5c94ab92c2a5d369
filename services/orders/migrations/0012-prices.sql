-- Prices of an order with discounts, shipping costs, tax or structured addresses; null for other
-- orders. The lines contain their share.
alter table orders
	add column priced json,
	-- Address for messages about the order, in canonical form; null if it is that of the account.
	add column email text,
	-- The order of a guest has no user.
	alter column user_id drop not null;
