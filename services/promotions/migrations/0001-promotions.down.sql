drop table customer_uses;
drop table redemptions;
drop table promotions;
