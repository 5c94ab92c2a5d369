drop function outbox_read;
