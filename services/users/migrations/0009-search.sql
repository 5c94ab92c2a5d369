-- no transaction
create index concurrently if not exists users_search
	on users using gin (email gin_trgm_ops, full_name gin_trgm_ops);
