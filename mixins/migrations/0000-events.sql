-- What every service's database has: events on their way out, and events that came in.
create table outbox (
	-- Rows are read in the order of their transactions and only when no older transaction is under way any more, so a reader that keeps
	-- its position never misses a row that was numbered early and committed late.
	xid xid8 not null default pg_current_xact_id(),
	seq bigint generated always as identity,
	id uuid not null default gen_random_uuid(),
	type text not null,
	subject text not null,
	data json not null,
	traceparent text,
	time timestamptz not null default now(),
	primary key (xid, seq)
);

create table outbox_readers (
	name text primary key,
	xid xid8 not null default '0',
	seq bigint not null default 0,
	owner text,
	lease_until timestamptz
);

create table inbox (
	group_name text not null,
	event_id uuid not null,
	time timestamptz not null default now(),
	primary key (group_name, event_id)
);
create index inbox_time on inbox (time);

-- Events whose handler failed: waiting for their next try or, with dead_at, dead letters.
create table retries (
	group_name text not null,
	event_id uuid not null,
	event json not null,
	attempts int not null default 1,
	errors jsonb not null default '[]',
	next_at timestamptz not null,
	dead_at timestamptz,
	primary key (group_name, event_id)
);
create index retries_due on retries (next_at) where dead_at is null;
