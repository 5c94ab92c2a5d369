alter table orders drop column traceparent;
