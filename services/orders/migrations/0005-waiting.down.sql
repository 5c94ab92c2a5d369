-- Parked sagas run again, and park again once the new version is back.
update orders set saga_state = 'forward', saga_owner = null, saga_attempt = saga_attempt + 1
where saga_state = 'waiting';
alter table orders
	drop column saga_wake_at,
	drop column saga_resumed_at,
	drop column payment,
	drop constraint orders_saga_state_check,
	add constraint orders_saga_state_check check (saga_state in ('forward', 'backward', 'stuck'));
