-- no transaction
create index concurrently if not exists users_inactive on users (id) where not is_active;
