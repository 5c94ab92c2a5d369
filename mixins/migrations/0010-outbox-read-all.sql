-- Without `types`, reads the events of all types: the relay to the stream also publishes the events
-- of a newer version.
create or replace function outbox_read(after pg_snapshot, types text[], most int)
	returns table (seq bigint, id uuid, type text, subject text, data json, traceparent text,
		"time" timestamptz) language sql stable
	set enable_seqscan = off set enable_bitmapscan = off
	as $$ select o.seq, o.id, o.type, o.subject, o.data, o.traceparent, o.time from outbox o
		where o.xid >= pg_snapshot_xmin(after) and not pg_visible_in_snapshot(o.xid, after)
			and (types is null or o.type = any (types))
		order by o.seq + 0 limit most $$;
