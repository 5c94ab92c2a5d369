drop table adjustments;
drop table reservations;
drop table stock;
