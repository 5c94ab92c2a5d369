drop index orders_running;
