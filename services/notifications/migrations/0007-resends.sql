-- How often a message was sent again on request, and when last.
alter table messages
	add column resends int not null default 0,
	add column resent_at timestamptz;
