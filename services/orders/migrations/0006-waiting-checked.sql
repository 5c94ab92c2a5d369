alter table orders validate constraint orders_saga_state_check;
