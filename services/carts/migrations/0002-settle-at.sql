-- no transaction
-- Instead of carts_settle_at. With the predicate status = 'completing', that index seemed as good as carts_order_id for finding the cart
-- of an order, and contains all carts that wait for a payment.
create index concurrently if not exists carts_due on carts (settle_at) where settle_at is not null;
