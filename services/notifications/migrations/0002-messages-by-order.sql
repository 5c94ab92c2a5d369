-- no transaction
create index concurrently if not exists messages_order on messages ((data ->> 'order_id'));
