-- no transaction
-- Administrators are few among many users.
create index concurrently if not exists users_administrators on users (id) where role = 'admin';
