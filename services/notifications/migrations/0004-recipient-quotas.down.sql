alter table messages drop column counted;
drop table recipient_quotas;
