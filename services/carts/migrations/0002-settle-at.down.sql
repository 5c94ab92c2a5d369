drop index carts_due;
