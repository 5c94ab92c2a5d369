drop table stream_positions;
alter table outbox_readers drop column acked_message, drop column acked_seq;
