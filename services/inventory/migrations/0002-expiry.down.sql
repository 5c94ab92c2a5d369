drop index reservations_expiring;
