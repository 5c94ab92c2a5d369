-- The last message that the stream acknowledged to a relay: a stream that no longer holds it was restored or truncated.
alter table outbox_readers add column acked_seq bigint, add column acked_message text;
-- How far the consumers of this service have read the stream. A consumer whose next message was discarded is refilled from the outboxes.
create table stream_positions (
	consumer text primary key,
	-- Identity of the stream: a stream that was lost and created again counts from 1.
	stream text not null,
	-- Every message up to this sequence was taken over, or is part of a refill.
	seq bigint not null,
	-- Null when no refill is under way; else the checkpoint in the outbox of each source: {"orders": {"after": "17", "done": false}}
	refill jsonb,
	-- Until then one node works on the refill.
	refill_lease timestamptz
);
