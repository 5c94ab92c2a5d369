drop table saga_nodes;
drop table order_items;
drop table orders;
