create index messages_order on messages ((data ->> 'order_id'));
