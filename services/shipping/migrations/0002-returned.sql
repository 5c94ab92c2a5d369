alter table shipments drop constraint shipments_status_check;
-- What is there already is looked at by the next migration, without a lock.
alter table shipments add constraint shipments_status_check
	check (status in ('scheduled', 'dispatched', 'delivered', 'returned', 'cancelled')) not valid;
