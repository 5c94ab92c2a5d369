-- no transaction
-- Undelivered messages are few among many while a mail server is configured.
create index concurrently if not exists messages_undelivered on messages (status, id)
	where status in ('failed', 'kept');
