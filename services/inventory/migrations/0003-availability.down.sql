drop trigger stock_availability on stock;
drop function publish_availability();
