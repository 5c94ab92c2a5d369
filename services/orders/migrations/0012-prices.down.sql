update orders set user_id = '00000000-0000-0000-0000-000000000000' where user_id is null;
alter table orders
	drop column priced,
	drop column email,
	alter column user_id set not null;
