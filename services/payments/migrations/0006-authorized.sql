-- no transaction
-- There are never many: the capture follows within a moment.
create index concurrently if not exists payments_authorized on payments (updated_at) where status = 'authorized';
