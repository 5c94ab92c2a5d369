alter table users drop column verification_requested_at;
