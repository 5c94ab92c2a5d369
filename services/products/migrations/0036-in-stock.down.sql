alter table products drop column in_stock;
