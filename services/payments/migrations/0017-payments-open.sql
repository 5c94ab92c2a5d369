-- no transaction
-- Payments that are looked up at the provider, which are few.
create index concurrently if not exists payments_open on payments (check_at)
	where status in ('requires_action', 'processing', 'authorized') or reversal = 'begun';
