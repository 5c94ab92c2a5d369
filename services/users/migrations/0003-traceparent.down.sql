alter table password_reset_requests drop column traceparent;
