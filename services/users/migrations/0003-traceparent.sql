-- Trace of the request.
alter table password_reset_requests add column traceparent text;
