drop index messages_undelivered;
