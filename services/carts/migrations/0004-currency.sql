-- Whether the buyer has chosen the currency. Otherwise the first line determines it, also after the
-- cart was emptied.
alter table carts add column is_currency_chosen boolean not null default false;
