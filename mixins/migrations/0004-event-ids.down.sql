alter table outbox alter column id set default gen_random_uuid();
