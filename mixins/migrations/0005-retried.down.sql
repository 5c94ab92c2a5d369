alter table inbox
	drop column failures, drop column traceparent, drop column subject, drop column type;
