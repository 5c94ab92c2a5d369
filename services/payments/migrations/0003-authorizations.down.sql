-- Sagas request deleted authorizations again. Authorizations that are voided, or in reversal,
-- become tombstones.
delete from payments where status = 'authorized' and reversal is null;
update payments set status = 'cancelled', user_id = null, amount = 0, currency = ''
where status in ('authorized', 'voided');
alter table payments
	drop column authorized_at,
	drop column captured_at,
	drop column voided_at,
	drop constraint payments_status_check,
	add constraint payments_status_check check (status in ('captured', 'declined',
		'partially_refunded', 'refunded', 'cancelled'));
