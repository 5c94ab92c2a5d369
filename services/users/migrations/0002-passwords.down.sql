drop table sign_in_attempts;
drop table password_reset_requests;
delete from verifications where purpose <> 'email';
alter table verifications drop column purpose;
alter table users drop column token_version;
