drop table retries;
drop table inbox;
drop table outbox_readers;
drop table outbox;
