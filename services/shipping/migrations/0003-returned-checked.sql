alter table shipments validate constraint shipments_status_check;
