-- Lines of the order as JSON. They are written once, with the order, and are read with it. Null for
-- older orders, whose lines are in order_items.
alter table orders add column items json;
