-- Number of resends of a message, and time of the last one.
alter table messages
	add column resends int not null default 0,
	add column resent_at timestamptz;
