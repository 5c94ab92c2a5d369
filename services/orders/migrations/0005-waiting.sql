-- A saga can wait for a payment: parked, without an owner, until saga_wake_at or until an event resumes it.
alter table orders
	-- While the saga runs: an event has resumed it in the meantime.
	add column saga_wake_at timestamptz,
	add column saga_resumed_at timestamptz,
	-- The payment that the order waits for.
	add column payment json,
	drop constraint orders_saga_state_check,
	add constraint orders_saga_state_check
		check (saga_state in ('forward', 'waiting', 'backward', 'stuck')) not valid;
