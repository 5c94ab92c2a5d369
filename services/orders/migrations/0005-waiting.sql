-- A saga that waits for a payment is parked: it has no owner until saga_wake_at, or until an event
-- resumes it.
alter table orders
	-- Time at which a parked saga resumes. In a running saga, it marks that an event has arrived that
	-- would resume a parked one.
	add column saga_wake_at timestamptz,
	-- Time at which the saga last resumed after it was parked.
	add column saga_resumed_at timestamptz,
	-- The payment that the order waits for.
	add column payment json,
	drop constraint orders_saga_state_check,
	add constraint orders_saga_state_check
		check (saga_state in ('forward', 'waiting', 'backward', 'stuck')) not valid;
