drop index if exists payments_open;
