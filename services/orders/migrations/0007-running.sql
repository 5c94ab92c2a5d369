-- no transaction
-- Parked sagas may be many and are not read by each claim, unlike the sagas in this index.
create index concurrently if not exists orders_running on orders (saga_owner)
	where saga_state in ('forward', 'backward', 'stuck');
