alter table payments
	-- Since when the money was set aside, was ours, and was let go of without having been ours; null of payments from before.
	add column authorized_at timestamptz,
	add column captured_at timestamptz,
	add column voided_at timestamptz,
	drop constraint payments_status_check,
	add constraint payments_status_check
		check (status in ('authorized', 'captured', 'declined', 'partially_refunded', 'refunded', 'voided', 'cancelled')) not valid;
