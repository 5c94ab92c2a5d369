-- Trace to which the order's saga, its steps and its events belong.
alter table orders add column traceparent text;
