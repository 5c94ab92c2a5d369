drop index if exists payments_authorized;
