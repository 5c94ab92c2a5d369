drop table retries;
drop table inbox;
drop table outbox_readers;
drop function outbox_since;
drop table outbox;
