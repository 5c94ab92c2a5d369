-- The trace of what it tells about.
alter table messages add column traceparent text;
