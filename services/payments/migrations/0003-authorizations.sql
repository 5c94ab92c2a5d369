alter table payments
	-- Times of the authorization, of the capture, and of the void of an authorization that was not
	-- captured. Null for older payments.
	add column authorized_at timestamptz,
	add column captured_at timestamptz,
	add column voided_at timestamptz,
	drop constraint payments_status_check,
	add constraint payments_status_check
		check (status in ('authorized', 'captured', 'declined', 'partially_refunded', 'refunded',
			'voided', 'cancelled')) not valid;
