-- no transaction
create index concurrently if not exists orders_parked on orders (saga_wake_at)
	where saga_state = 'waiting';
