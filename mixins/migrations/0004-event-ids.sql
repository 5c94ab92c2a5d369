-- IDs that increase with time are inserted at the end of every index, also in inboxes. Random IDs
-- are inserted into any page, and a large index is not in memory as a whole. Postgres before
-- version 18 has no function uuidv7.
do $$ begin
	if current_setting('server_version_num')::int >= 180000 then
		alter table outbox alter column id set default uuidv7();
	end if;
end $$;
