create table messages (
	id uuid primary key,
	user_id uuid not null,
	event_id uuid not null,
	channel text not null,
	template text not null,
	subject text not null,
	-- Data for the template, without the user's name and address, which belong to the users service.
	data jsonb not null,
	status text not null check (status in ('queued', 'sent', 'kept', 'failed')),
	attempts int not null default 0,
	-- Time at which a queued message is due. A node that claims the message moves it ahead, which
	-- hides the message from other nodes.
	next_at timestamptz not null default now(),
	last_error text,
	sent_at timestamptz,
	created_at timestamptz not null default now(),
	unique (event_id, user_id)
);
create index messages_of_user on messages (user_id, id desc);
create index messages_due on messages (next_at) where status = 'queued';
