-- no transaction
-- What was told of one thing. The ids grow with time, so it is written at its end.
create index concurrently if not exists outbox_subject on outbox (subject);
