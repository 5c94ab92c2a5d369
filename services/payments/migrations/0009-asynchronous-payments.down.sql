drop table payment_transactions;
alter table refunds drop column failed_at, drop column failure_reason;
-- Open payments are looked up at the provider again when their order is charged or reversed.
delete from payments where status in ('requires_action', 'processing');
update payments set status = 'captured' where status = 'disputed';
alter table payments
	drop column reference,
	drop column decline_code,
	drop column client_secret,
	drop column redirect_url,
	drop column expires_at,
	drop constraint payments_status_check,
	add constraint payments_status_check
		check (status in ('authorized', 'captured', 'declined', 'partially_refunded', 'refunded',
			'voided', 'cancelled')) not valid;
