-- no transaction
-- Authorized payments are few, because the capture follows immediately.
create index concurrently if not exists payments_authorized on payments (updated_at)
	where status = 'authorized';
