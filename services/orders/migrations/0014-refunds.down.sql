alter table orders drop column has_refunds;
drop table refunds;
