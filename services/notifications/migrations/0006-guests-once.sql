-- no transaction
-- An event causes one message to a guest. The other unique constraint ignores rows without a user.
create unique index concurrently if not exists messages_event_of_guest on messages (event_id)
	where user_id is null;
