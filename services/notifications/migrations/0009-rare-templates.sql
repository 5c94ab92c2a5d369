-- no transaction
-- Contains no messages about successful orders, which are many. The others are few.
create index concurrently if not exists messages_rare_templates on messages (template, id)
	where template not in ('order_confirmed', 'order_shipped', 'order_delivered');
