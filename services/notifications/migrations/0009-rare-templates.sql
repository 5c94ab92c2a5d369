-- no transaction
-- Few among many messages about successful orders.
create index concurrently if not exists messages_rare_templates on messages (template, id)
	where template not in ('order_confirmed', 'order_shipped', 'order_delivered');
