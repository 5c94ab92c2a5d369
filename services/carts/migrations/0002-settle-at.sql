-- no transaction
-- Replaces carts_settle_at. Because of the predicate status = 'completing', the planner could
-- choose that index instead of carts_order_id to find the cart of an order, and then read all carts
-- that wait for a payment.
create index concurrently if not exists carts_due on carts (settle_at) where settle_at is not null;
