drop index orders_parked;
