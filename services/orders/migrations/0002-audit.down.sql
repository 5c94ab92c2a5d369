drop index orders_stuck;
