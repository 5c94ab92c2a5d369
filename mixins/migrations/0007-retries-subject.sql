-- no transaction
create index concurrently if not exists retries_subject on retries using hash ((event->>'subject'));
