drop index orders_email;
