-- no transaction
create index concurrently if not exists verifications_user on verifications (user_id);
