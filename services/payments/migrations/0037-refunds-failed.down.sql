drop index if exists refunds_failed;
