-- Returned shipments were dispatched before.
update shipments set status = 'dispatched' where status = 'returned';
alter table shipments drop constraint shipments_status_check;
alter table shipments add constraint shipments_status_check
	check (status in ('scheduled', 'dispatched', 'delivered', 'cancelled'));
