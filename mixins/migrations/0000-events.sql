-- What every service's database has: events on their way out, and events that came in.
create table outbox (
	-- Grows with the order in which events were written.
	seq bigint generated always as identity primary key,
	-- Tells, against a snapshot, whether a row was committed by then: a reader that keeps snapshots misses no row that was numbered early
	-- and committed late.
	xid xid8 not null default pg_current_xact_id(),
	id uuid not null default gen_random_uuid(),
	type text not null,
	subject text not null,
	data json not null,
	traceparent text,
	time timestamptz not null default now()
);
create index outbox_xid on outbox (xid);

-- The events that were committed since a snapshot, by the index always: the table may have grown a lot since its statistics were made, and
-- the planner would then rather read the whole of it.
create function outbox_since(seen pg_snapshot) returns setof bigint language sql stable
	set enable_seqscan = off set enable_bitmapscan = off
	as $$ select seq from outbox where xid >= pg_snapshot_xmin(seen) and not pg_visible_in_snapshot(xid, seen) $$;

create table outbox_readers (
	name text primary key,
	-- All that this snapshot holds was handed over, and of what `upto` holds besides, the rows up to `seq`.
	seen pg_snapshot not null default '1:1:',
	upto pg_snapshot,
	seq bigint not null default 0,
	-- Where the events went: a stream that is lost and made anew is another place.
	target text,
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
