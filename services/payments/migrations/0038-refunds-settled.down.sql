drop index if exists refunds_settled;
