alter table shipments drop constraint shipments_status_check;
alter table shipments add constraint shipments_status_check check (status in ('scheduled', 'dispatched', 'delivered', 'returned', 'cancelled'));
