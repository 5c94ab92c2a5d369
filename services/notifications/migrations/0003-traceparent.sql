-- Trace of the event.
alter table messages add column traceparent text;
