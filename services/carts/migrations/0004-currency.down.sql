alter table carts drop column is_currency_chosen;
