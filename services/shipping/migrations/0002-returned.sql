alter table shipments drop constraint shipments_status_check;
-- The next migration validates existing rows, without blocking writes.
alter table shipments add constraint shipments_status_check
	check (status in ('scheduled', 'dispatched', 'delivered', 'returned', 'cancelled')) not valid;
