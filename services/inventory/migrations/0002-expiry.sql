-- no transaction
create index concurrently if not exists reservations_expiring on reservations (expires_at)
	where status = 'held' and expires_at is not null;
