-- The last message that the stream acknowledged to a relay. A stream that no longer contains it was
-- restored or truncated.
alter table outbox_readers add column acked_seq bigint, add column acked_message text;
-- Progress of this service's consumers in the stream. A consumer whose next message was discarded
-- is refilled from the outboxes.
create table stream_positions (
	consumer text primary key,
	-- Identity of the stream: a stream that was lost and created again counts from 1.
	stream text not null,
	-- Every message up to this sequence was processed or stored for a retry, or is part of a refill.
	seq bigint not null,
	-- Progress in the outbox of each source; null without a refill.
	-- Example: {"orders": {"after": "17", "done": false}}
	refill jsonb,
	-- End of the lease of the node that works on the refill.
	refill_lease timestamptz
);
