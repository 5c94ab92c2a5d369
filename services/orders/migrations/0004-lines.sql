-- An order's lines, as they go over the wire: they are written once, with the order, and read with it. Without them, as all orders from before are,
-- they are in order_items.
alter table orders add column items json;
