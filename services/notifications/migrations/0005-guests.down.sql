delete from messages where user_id is null;
alter table messages alter column user_id set not null;
