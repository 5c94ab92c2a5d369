drop index messages_order;
