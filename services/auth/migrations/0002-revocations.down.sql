alter table sessions drop column token_version;
drop table revocations;
