drop table payment_webhook_events;
