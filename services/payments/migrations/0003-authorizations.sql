alter table payments
	-- Since when the money was set aside, was ours, and was let go of without having been ours.
	add column authorized_at timestamptz,
	add column captured_at timestamptz,
	add column voided_at timestamptz,
	drop constraint payments_status_check,
	add constraint payments_status_check
		check (status in ('authorized', 'captured', 'declined', 'partially_refunded', 'refunded', 'voided', 'cancelled'));
update payments set authorized_at = created_at, captured_at = created_at where status in ('captured', 'partially_refunded', 'refunded');
-- There are never many: the capture follows within a moment.
create index payments_authorized on payments (updated_at) where status = 'authorized';
