-- Events that this service publishes (outbox) and consumes (inbox, retries).
create table outbox (
	-- Increases in the order of writing, which can differ from the order of commits.
	seq bigint generated always as identity primary key,
	-- Transaction of the row. Compared with a snapshot, it shows whether the row was committed, so
	-- relays also find rows with low numbers that commit late.
	xid xid8 not null default pg_current_xact_id(),
	id uuid not null default gen_random_uuid(),
	type text not null,
	subject text not null,
	data json not null,
	traceparent text,
	time timestamptz not null default now()
);
create index outbox_xid on outbox (xid);

-- Numbers of the events that were committed since a snapshot. Always uses an index: with outdated
-- statistics of a table that has grown, the planner would scan the whole table. No longer used, see
-- 0003.
create function outbox_since(seen pg_snapshot) returns setof bigint language sql stable
	set enable_seqscan = off set enable_bitmapscan = off
	as $$ select seq from outbox
		where xid >= pg_snapshot_xmin(seen) and not pg_visible_in_snapshot(xid, seen) $$;

-- Checkpoints of the relays.
create table outbox_readers (
	name text primary key,
	-- The relay has published all rows visible in this snapshot, and of those visible in `upto` only,
	-- the rows up to `seq`.
	seen pg_snapshot not null default '1:1:',
	upto pg_snapshot,
	seq bigint not null default 0,
	-- Identity of the destination, which changes if a stream is lost and created again.
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

-- Events whose handler failed, and invalid messages. Rows with dead_at are dead letters; the others
-- wait for their next attempt.
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
