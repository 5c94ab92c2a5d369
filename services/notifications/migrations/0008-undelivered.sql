-- no transaction
-- Few among many messages, while a mail server is configured.
create index concurrently if not exists messages_undelivered on messages (status, id)
	where status in ('failed', 'kept');
