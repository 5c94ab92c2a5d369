-- Ids that grow with time go to the end of every index that they come to, in inboxes too; random ones to a page anywhere, which a large
-- table does not have in memory. Older servers have no such function.
do $$ begin
	if current_setting('server_version_num')::int >= 180000 then
		alter table outbox alter column id set default uuidv7();
	end if;
end $$;
