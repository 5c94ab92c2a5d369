-- The trace that its saga, its facts and its next steps belong to.
alter table orders add column traceparent text;
