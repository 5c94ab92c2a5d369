-- Whether the product, or one of its variants, is available. Follows the events of the inventory.
alter table products add column in_stock boolean not null default false;
