alter table messages drop column resends, drop column resent_at;
