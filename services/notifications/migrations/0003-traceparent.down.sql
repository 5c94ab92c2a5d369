alter table messages drop column traceparent;
